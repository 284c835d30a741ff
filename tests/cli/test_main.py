"""The command line in real processes: help, errors, exit codes, pipes; and what a command is handed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from exphil import __version__
from exphil.cli import main as cli
from exphil.cli.parse import parse
from exphil.config.commands import COMMANDS
from exphil.config.groups import OPTIONS
from exphil.errors import DataError


def exphil(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("EXPHIL_")}
    return subprocess.run(
        [sys.executable, "-m", "exphil", *words],
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
        env={**environ, "COLUMNS": "200", **variables},
    )


@pytest.fixture
def fake(monkeypatch):
    """A command module that records what it is given; ``fake.act`` is what it then does."""
    module = ModuleType("fake_command")
    module.calls = []
    module.act = lambda: 0

    def run(settings, **positionals):
        module.calls.append((settings, positionals))
        return module.act()

    module.run = run
    monkeypatch.setitem(sys.modules, "fake_command", module)
    for name in cli.MODULES:
        monkeypatch.setitem(cli.MODULES, name, "fake_command:run")
    for name in os.environ:
        if name.startswith("EXPHIL_"):
            monkeypatch.delenv(name)
    return module


@pytest.mark.parametrize("words", [(), ("--help",), ("train", "--help"), ("replays",), ("replays", "scan", "--help")])
def test_help_goes_to_standard_output(words):
    result = exphil(*words)
    assert result.returncode == 0 and result.stdout.startswith("Usage: exphil") and not result.stderr


def test_help_of_a_command_shows_every_option_by_group():
    page = exphil("train", "--help").stdout
    for name in COMMANDS["train"].option_names():
        item = OPTIONS[name]
        assert all(flag in page for flag in item.spellings()), name
        assert all(str(choice) in page for choice in item.choices), name
    assert "─ Model ─" in page and "--window-size --seq-len N" in page
    assert "frames in one training sequence, and that attention" in page
    assert "[choices: mlp, gru, lstm, mamba, mamba2, attention, hybrid, jamba]" in page


@pytest.mark.parametrize("words", [[], ["train", "--help"], ["train", "--ephocs", "3"], ["--version"]])
def test_help_and_errors_import_neither_torch_nor_numpy(words):
    code = (
        "import sys; from exphil.cli.main import main; main(sys.argv[1:]);"
        "sys.exit(9 if {'torch', 'numpy', 'numba'} & set(sys.modules) else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code, *words], capture_output=True, check=False).returncode == 0


def test_version():
    assert exphil("--version").stdout == f"{__version__}\n"


MISSPELLED = [
    ("tarin", "error: unknown command 'tarin'; did you mean 'train'?\n  hint: exphil --help"),
    ("replays scn", "error: unknown command 'replays scn'; did you mean 'replays scan'?\n  hint: exphil --help"),
    ("xyzzy", "error: unknown command 'xyzzy'\n  hint: exphil --help"),
    ("--epochs 3", "error: --epochs stands before a command\n  hint: exphil COMMAND --epochs"),
    ("train --ephocs 3", "error: unknown option --ephocs; did you mean --epochs?"),
    ("train --ephocs=3", "error: unknown option --ephocs; did you mean --epochs?"),
    ("train --head autoregresive", "error: flag --head: 'autoregresive' is not one of autoregressive, independent; "
     "did you mean 'autoregressive'?"),
    ("train --seq-len", "error: flag --seq-len: a value is needed here"),
    ("train --seq-len 3 --seq-len 4", "error: flag --seq-len: the option is given twice"),
    ("train --residual=maybe", "error: flag --residual: 'maybe' is not yes or no"),
    ("train --max-files -1", "error: flag --max-files: '-1' must be at least 1"),
    ("evaluate", "error: evaluate needs POLICY: snapshot or policy file"),
    ("replays info", "error: replays info needs FILE: a replay (.slp, .slp.gz, .slp.xz), or ARCHIVE/MEMBER"),
    ("train --config no.yaml", "error: file no.yaml: cannot be read: No such file or directory"),
    ("train --hidden 8 8", "error: train has no use for '8'\n"
     "  hint: options begin with --, and lists are written with commas: 512,512"),
    ("train --lr 0 --xyzzy --epochs x", "error: unknown option --xyzzy\n"
     "error: flag --epochs: 'x' is not a whole number\nerror: flag --lr: '0' must be above 0"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "text"), MISSPELLED, ids=[line for line, _ in MISSPELLED])
def test_a_wrong_command_line_is_explained_on_standard_error(line, text):
    result = exphil(*line.split())
    assert (result.returncode, result.stdout, result.stderr) == (2, "", text + "\n")


def test_a_wrong_file_is_explained(tmp_path):
    (tmp_path / "bad.yaml").write_text("ephocs: 3\n")
    result = exphil("train", "--config", str(tmp_path / "bad.yaml"))
    assert result.stderr == f"error: file {tmp_path / 'bad.yaml'}: unknown key 'ephocs'; did you mean 'epochs'?\n"


def test_a_command_gets_settings_and_positionals(fake, capsys):
    assert (
        cli.main(
            [
                "train",
                "--seq-len",
                "80",
                "--no-save-best",
                "--residual=false",
                "--layer-norm",
                "--temporal",
                "--backbone=mlp",
            ]
        )
        == 0
    )
    assert cli.main(["evaluate", "--json", "p.pt"]) == 0
    assert cli.main(["replays", "scan", "some/folder", "--workers=2"]) == 0
    (train, none), (evaluate, policy), (scan, folder) = fake.calls
    assert (train.model.window_size, train.sources["window_size"], none) == (80, "flag --seq-len", {})
    assert (train.saving.save_best, train.model.residual, train.model.layer_norm) == (False, False, True)
    assert train.sources["save_best"] == "flag --no-save-best"
    assert (evaluate.output.json, policy) == (True, {"policy": Path("p.pt")})
    assert (scan.command, scan.readers.workers, folder) == ("replays scan", 2, {"folder": Path("some/folder")})
    out, talk = capsys.readouterr()
    assert out == "" and talk.startswith("note: --temporal with --backbone mlp")


@pytest.mark.parametrize("name", COMMANDS["train"].option_names())
def test_every_flag_of_train_reaches_the_command(fake, name):
    item = OPTIONS[name]
    for flag, fixed in item.spellings().items():
        if fixed is not None:
            assert cli.main(["train", flag, *(["--temporal"] if name == "backbone" else [])]) == 0
            assert fake.calls[-1][0].sources[name] == f"flag {flag}"


def test_every_default_survives_the_command_line(fake):
    assert cli.main(["train"]) == 0
    assert set(fake.calls[0][0].sources.values()) == {"default", "implied by --loss-positions all"}


def test_notices_are_told_once_and_quiet_drops_them(fake, capsys):
    cli.main(["train", "--backbone", "gru"])
    assert capsys.readouterr().err == "note: --backbone gru learns from sequences: --temporal is implied\n"
    cli.main(["train", "--backbone", "gru", "--quiet"])
    assert capsys.readouterr().err == ""


def test_exit_codes(fake, capsys, monkeypatch):
    def fails(error):
        def act():
            raise error

        fake.act = act
        return cli.main(["train"])

    monkeypatch.delenv(cli.STACKTRACE, raising=False)
    fake.act = lambda: 7
    assert cli.main(["train"]) == 7
    assert fails(DataError("no games", "replays", "look elsewhere")) == 1
    assert capsys.readouterr().err == "error: replays: no games\n  hint: look elsewhere\n"
    assert fails(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "error: interrupted\n"
    assert fails(ZeroDivisionError("by zero")) == 1
    text = capsys.readouterr().err
    assert text.startswith("error: this is a defect of exphil, not of your command: ZeroDivisionError: by zero\n")
    assert "Traceback" not in text and "EXPHIL_FULL_STACKTRACE=1" in text
    monkeypatch.setenv(cli.STACKTRACE, "1")
    assert fails(ZeroDivisionError("by zero")) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGPIPE there")
def test_a_closed_pipe_ends_quietly():
    code = (
        "import sys, types; from exphil.cli import main as cli; from exphil.cli.terminal import Terminal\n"
        "module = types.ModuleType('fake'); sys.modules['fake'] = module\n"
        "module.run = lambda settings: Terminal().lines(str(n) for n in range(10**6)) or 0\n"
        "cli.MODULES['train'] = 'fake:run'; sys.exit(cli.main(['train']))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


def test_help_survives_a_poor_terminal():
    result = exphil("train", "--help", PYTHONIOENCODING="ascii", TERM="dumb", NO_COLOR="1")
    assert result.returncode == 0 and "--window-size" in result.stdout and "\x1b" not in result.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="no bash there")
def test_completion_is_installed_for_the_shell_in_use(tmp_path):
    result = exphil("--install-completion", HOME=str(tmp_path), SHELL="/bin/bash")
    assert result.returncode == 0
    (script,) = [path for path in tmp_path.rglob("exphil") if path.is_file()]
    assert "--window-size" in script.read_text() and "lstm" in script.read_text()


@pytest.mark.parametrize(
    "words", [["evaluate", "a.pt"], ["evaluate", "--policy", "a.pt"], ["evaluate", "--policy=a.pt"]]
)
def test_the_word_of_a_command_may_be_written_as_a_flag(words):
    asked = parse([*words, "--json"])
    assert asked is not None
    assert (asked.positionals, asked.flags, asked.strays) == ({"policy": Path("a.pt")}, {"--json": True}, [])


@pytest.mark.parametrize("command", COMMANDS)
def test_words_are_split_alike_where_pydantic_is_loaded(command):
    """Cyclopts then looks at defaults too; wandb and the hub's library bring it."""
    pytest.importorskip("pydantic")
    asked = parse([*command.split(), *("x" for _ in COMMANDS[command].positionals), "--quiet"])
    assert asked is not None and asked.command == command and "--quiet" in asked.flags
    wrong = parse(["train", "--backbone", "lstn"])
    assert wrong is not None and wrong.flags == {"--backbone": "lstn"}, "who checks it says what was probably meant"
