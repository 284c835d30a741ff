"""The walls of the house (see docs/architecture.md): each message says what to do when one is met."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest

from exphil import assemble
from exphil.cli.main import MODULES
from exphil.cli.play import WORLDS as PLAYED_IN
from exphil.config.commands import COMMANDS
from exphil.config.groups import OPTIONS

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "exphil"
ROAD = (
    *("errors", "files", "compiled", "pages", "game", "replays", "envs", "features", "data", "models", "train", "play"),
    *("rl", "evaluate", "selfplay", "config", "assemble", "cli"),
)
TORCH_FREE = (
    *(
        "errors.py",
        "files.py",
        "compiled.py",
        "pages.py",
        "game/",
        "replays/",
        "envs/",
        "features/",
        "config/",
        "models/graph.py",
        "models/quantize.py",
        "train/card.py",
        "train/described.py",
        "train/hub.py",
        "train/runs.py",
        "train/registry.py",
        "train/runfiles.py",
        "train/unfinished.py",
        "play/",
        "evaluate/agreement.py",
    ),
    *(f"data/{name}.py" for name in ("corpus", "sampler", "lanes", "windows", "walk", "delayed", "baselines")),
    *(f"data/{name}.py" for name in ("kept", "sticks", "parts")),
)
BORDERS = {  # a library -> the only places that may import it
    "onnx": ("models/export.py", "models/quantize.py", "play/fast.py"),
    "onnxscript": ("models/export.py", "play/fast.py"),
    "onnxruntime": ("models/export.py", "play/fast.py"),
    "wandb": ("train/metrics/",),
    "tensorboard": ("train/metrics/",),
    "trackio": ("train/metrics/",),
    "ray": ("selfplay/workers.py",),
    "melee": ("envs/dolphin",),
    "numba": ("compiled.py", "replays/packing.py", "envs/sim"),
    "cyclopts": ("cli/",),
    "rich": ("cli/terminal.py",),
    "yaml": ("config/layers.py",),
    "safetensors": ("train/checkpoint.py",),
    "pytorch_optimizer": ("assemble/training.py",),
    "questionary": ("cli/questions/arrow_keys.py",),
    "prompt_toolkit": ("cli/questions/arrow_keys.py",),
    "umi": ("play/umi.py",),
    "melee_sim": ("envs/melee_sim.py",),
    "gymnasium": ("rl/gym.py",),
    "pettingzoo": ("rl/gym.py",),
    "huggingface_hub": ("train/hub.py",),
    "peppi_py": (),
}
REFUSED = {"utils", "util", "common", "helpers", "misc", "base", "core", "new", "old", "v2"}
LONGEST_FILE, LONGEST_FUNCTION, LONGEST_COMMAND = 400, 60, 100
NO_COMMANDS = ("cli/terminal.py", "cli/parse.py")
OPTION_NAMES = [
    "accumulation_steps", "action_mode", "action_repeat", "all_frames", "allow_missing", "as_characters",
    "attention_every", "augment", "auto_batch_backoff", "auto_batch_max", "auto_batch_min", "auto_batch_size",
    "axis_buckets", "backbone", "backup", "backup_count", "balance_characters", "batch_size", "button_weights", "cache",
    "cache_augmented", "cache_compress", "cache_dir", "cache_embeddings", "character_mode", "characters", "checkpoint",
    "checkpoint_every", "checkpoints_dir", "chunk_size", "chunked_attention", "config", "continue_on_error",
    "conv_size", "decay_steps", "deterministic", "device", "dropout", "dry_run", "dual_port", "early_stopping", "ema",
    "ema_decay", "epochs", "error_log", "expand_factor", "feed_forward", "files", "flash_attention", "focal_gamma",
    "focal_loss", "frame_delay", "frame_delay_augment", "frame_delay_max", "frame_delay_min", "games", "gc_every",
    "gradient_checkpoint", "head", "held_out", "hidden", "html", "ic_tech", "init", "int8", "json", "jumps_normalized",
    "k", "keep_best", "kmeans_centers", "label_smoothing", "layer_norm", "learn_player_styles", "log_interval",
    "loss_positions", "lr", "lr_max", "lr_min", "lr_schedule", "lr_steps", "max_files", "max_grad_norm",
    "memory_efficient_attention", "min_delta", "min_player_games", "min_quality", "minutes", "mirror_prob",
    "mmap_embeddings", "mmap_path", "name", "nana_mode", "noise_prob", "noise_scale", "num_heads", "num_layers",
    "num_noisy_variants", "num_player_names", "online_robust", "only", "optimizer", "output", "overwrite", "patience",
    "per_axis", "player", "player_mode", "player_port", "player_registry", "policy", "precision", "precompute",
    "prefetch", "prefetch_buffer", "preset", "press_threshold", "private", "probe_seconds", "profile", "qk_layernorm",
    "quiet", "register", "release_threshold", "replays", "residual", "restart_mult", "restart_period", "resume",
    "reverse", "rollbacks", "save_best", "save_config", "save_every", "save_every_batches", "save_replays", "seed",
    "seeds", "sequence_mode", "shoulder_buckets", "show_errors", "show_quality_stats", "skip", "skip_duplicates",
    "skip_errors", "socket", "sort", "stage_mode", "stage_motion", "stages", "state_size", "stocks",
    "stream_chunk_frames", "stream_chunk_size", "stride", "style", "tagged", "teacher", "teacher_temperature",
    "teacher_weight", "temperature", "temporal", "tensorboard", "threads", "trackio", "train_character",
    "truncate_bptt", "umi_safe", "updates", "val_concurrency", "val_split", "verbose", "wandb", "wandb_name",
    "wandb_project", "warmup_steps", "weight_decay", "window_size", "within", "workers", "world",
]  # fmt: skip
READ_BY_CONFIG = {"preset", "config", "online_robust"}  # the first two choose layers, the last implies an option


class Module(NamedTuple):
    """A source file: ``name`` is its path below src/exphil, ``room`` the first part of it."""

    name: str
    room: str
    text: str
    tree: ast.Module


class Import(NamedTuple):
    """What an import statement brings: ``late`` when it stands in a function or under TYPE_CHECKING."""

    target: str
    line: int
    late: bool


@cache
def modules() -> tuple[Module, ...]:
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        name, text = path.relative_to(SOURCE).as_posix(), path.read_text(encoding="utf-8")
        found.append(Module(name, name.partition("/")[0].removesuffix(".py"), text, ast.parse(text)))
    return tuple(found)


def imports(node: ast.AST, late: bool = False) -> Iterator[Import]:
    """Every import below ``node``; ``from exphil import x`` counts as ``exphil.x``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, late) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: write the whole name, exphil.room.file"
            inside = child.module == "exphil"
            names = [f"exphil.{alias.name}" for alias in child.names] if inside else [child.module or ""]
            yield from (Import(name, child.lineno, late) for name in names)
        else:
            checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            yield from imports(child, late or checking or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))


def rooms_imported(module: Module) -> Iterator[tuple[str, Import]]:
    for found in imports(module.tree):
        parts = found.target.split(".")
        if parts[0] == "exphil" and len(parts) > 1 and parts[1] != "__version__":
            yield parts[1], found


def within(name: str, places: tuple[str, ...]) -> bool:
    return any(name.startswith(place) for place in places)


def told(problems: list[str], what_to_do: str) -> None:
    assert not problems, "\n".join([*problems, what_to_do])


@cache
def committed() -> tuple[Path, ...]:
    """The files of the repository: what git would commit; without git, what lies here outside of hidden folders."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0:
        return tuple(path for name in listed.stdout.splitlines() if (path := ROOT / name).is_file())
    skipped = {"__pycache__", "checkpoints", "replays", "cache", "build", "dist", "htmlcov", ".venv", ".git"}
    skipped |= {".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
    found = (path for path in ROOT.rglob("*") if path.is_file())
    return tuple(path for path in found if not skipped & set(path.relative_to(ROOT).parent.parts[:1]))


def test_every_room_stands_on_the_road():
    rooms = {module.room for module in modules()} - {"__init__", "__main__"}
    assert rooms <= set(ROAD), f"{rooms - set(ROAD)}: give it a place in ROAD here and in docs/architecture.md"


def test_imports_look_back_along_the_road():
    problems = [
        f"{module.name}:{found.line}: {module.room} imports {found.target}, which lies ahead of it"
        for module in modules()
        if module.room in ROAD
        for room, found in rooms_imported(module)
        if ROAD.index(room) > ROAD.index(module.room)
    ]
    told(problems, "move the code to the later room, or hand the later room's object in as an argument")


def test_config_knows_words_and_only_assemble_and_cli_know_config():
    problems = []
    for module in modules():
        for room, found in rooms_imported(module):
            if module.room == "config" and room not in ("errors", "game", "config"):
                problems.append(f"{module.name}:{found.line}: config imports {found.target}")
            if room == "config" and module.room not in ("config", "assemble", "cli"):
                problems.append(f"{module.name}:{found.line}: {module.room} imports {found.target}")
    told(problems, "constructors take plain numbers; assemble reads the settings and passes them")


def test_torch_stays_in_its_rooms():
    problems = [
        f"{module.name}:{found.line}: imports {found.target}"
        for module in modules()
        for found in imports(module.tree)
        if found.target.partition(".")[0] == "torch"
        and (within(module.name, TORCH_FREE) or (module.room in ("assemble", "cli") and not found.late))
    ]
    told(problems, "these places run without torch; in assemble and cli import it inside the function that needs it")


def test_what_needs_no_torch_loads_without_it():
    loaded = [module.name for module in modules() if within(module.name, (*TORCH_FREE, "assemble", "play/__init__"))]
    names = [f"exphil/{name}".removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in loaded]
    code = "import importlib, sys; [importlib.import_module(n) for n in sys.argv[1:]]; sys.exit('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code, *names], check=False)
    assert result.returncode == 0, "one of these rooms imports a module that imports torch"


@pytest.mark.parametrize(
    "words", [["--help"], ["train", "--help"], ["replays", "--help"], ["registry", "--help"]], ids=" ".join
)
def test_help_never_imports_torch(words):
    code = "import sys; from exphil.cli.main import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, check=False)
    assert result.returncode == 0, "import what needs torch inside the function that runs the command"


def test_foreign_libraries_stay_behind_their_border():
    problems = [
        f"{module.name}:{found.line}: imports {found.target}"
        for module in modules()
        for found in imports(module.tree)
        if (top := found.target.partition(".")[0]) in BORDERS and not within(module.name, BORDERS[top])
    ]
    told(problems, "only the places in BORDERS may: ask them for what you need")


def test_only_the_terminal_prints():
    problems = []
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                problems.append(f"{module.name}:{node.lineno}: print")
            stream = isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr")
            if stream and isinstance(node.value, ast.Name) and node.value.id == "sys" and module.name != "cli/main.py":
                problems.append(f"{module.name}:{node.lineno}: sys.{node.attr}")
    problems = [problem for problem in problems if not problem.startswith("cli/terminal.py")]
    told(problems, "return a value or yield an event; a command shows it with cli.terminal.Terminal")


def test_files_and_functions_keep_their_size():
    problems = []
    for module in modules():
        tables = [node for node in module.tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
        lines = len(module.text.splitlines()) - sum((node.end_lineno or 0) - node.lineno for node in tables)
        command = module.name.startswith("cli/") and module.name.count("/") == 1 and module.name not in NO_COMMANDS
        if lines > (cap := LONGEST_COMMAND if command else LONGEST_FILE):
            problems.append(f"{module.name}: {lines} lines, at most {cap} (tables of constants aside)")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    problems.append(f"{module.name}:{node.lineno}: {node.name} has {length} lines, at most 60")
    told(problems, "split it along what it does; a command is: options, one call, what is shown")


def test_files_are_named_by_what_they_own():
    problems = [name for module in modules() if (name := module.name) and REFUSED & set(re.split(r"[/.]", name))]
    told(problems, "name a file by what it owns, so that a stranger finds it")


def test_every_module_says_what_it_is():
    problems = [module.name for module in modules() if not ast.get_docstring(module.tree)]
    told(problems, "begin with a docstring: what enters, what leaves, what can go wrong")


def test_every_command_has_a_module_and_the_other_way_round():
    assert set(COMMANDS) == set(MODULES), "a command stands in config.commands.COMMANDS and in cli.main.MODULES"


def test_the_list_of_options_is_frozen():
    added, gone = set(OPTIONS) - set(OPTION_NAMES), set(OPTION_NAMES) - set(OPTIONS)
    says = "adding or dropping an option edits OPTION_NAMES too, with the reason in the commit's message"
    assert not added and not gone, f"added {sorted(added)}, gone {sorted(gone)}: {says}"
    assert sorted(OPTION_NAMES) == OPTION_NAMES, "keep OPTION_NAMES sorted"


def _reads(tree: ast.Module) -> Iterator[str]:
    """The words that read an option: ``lr`` of ``settings["lr"]``, ``training.lr``, ``.lr`` of ``options.lr``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            yield str(node.slice.value)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute | ast.Name):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else node.value.id
            yield f"{'' if owner == 'options' else owner}.{node.attr}"


def test_every_option_is_read():
    read = {word for module in modules() if module.room != "config" for word in _reads(module.tree)} | READ_BY_CONFIG
    ways = {name: {name, f".{name}", f"{option.group.lower()}.{name}"} for name, option in OPTIONS.items()}
    told(
        [name for name in ways if not ways[name] & read],
        "nothing acts on it: read the option where it acts, or drop it",
    )


@pytest.mark.parametrize(
    ("option", "table"),
    [
        ("backbone", assemble.BACKBONES),
        ("optimizer", assemble.OPTIMIZERS),
        ("world", {**assemble.ENVIRONMENTS, **PLAYED_IN}),
    ],
    ids=lambda x: str(x)[:9],
)
def test_choices_are_what_assemble_can_build(option, table):
    says = f"a choice of --{option} in config/groups/ and its builder in assemble come and go together"
    assert set(OPTIONS[option].choices) == set(table), says


def test_nothing_is_left_for_later_in_the_code():
    marks = re.compile("TO" + "DO|FIX" + "ME|XX" + "X")
    problems = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in committed()
        if path.suffix in (".py", ".md", ".toml", ".yml", ".yaml")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if marks.search(line)
    ]
    told(problems, "do it now, or open an issue and leave the code clean")


def test_no_file_names_a_place_on_somebodys_machine():
    places = re.compile("|".join(["/wo" + "rk/", "/ro" + "ot/", "/tmp/" + "venv", "/ho" + "me/", "C:" + r"\\Users"]))
    problems = []
    for path in committed():
        if path.stat().st_size < 2_000_000 and places.search(path.read_bytes().decode("utf-8", errors="ignore")):
            problems.append(str(path.relative_to(ROOT)))
    told(problems, "use a path relative to the repository, an option or a variable")


def test_generated_pages_are_up_to_date():
    command = [sys.executable, str(ROOT / "tools" / "make_docs.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr + "make golden writes them; read the diff before you commit it"


def test_the_readme_names_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras, groups = project["project"]["optional-dependencies"], project["dependency-groups"]
    lines = [*project["project"]["dependencies"], *chain(*extras.values()), *chain(*groups.values())]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [name for line in lines if f"`{(name := re.split(r'[^A-Za-z0-9-]', line)[0])}`" not in readme]
    assert not missing, f"{missing}: say in README's tables what each is for and what else was tried"
