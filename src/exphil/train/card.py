"""A policy as a folder to share: its weights, its numbers for programs, and a page for people. No torch.

What enters: a policy file, what it says (``train.described``), and what the command line found out (``Facts``).
What leaves: ``config.json``, ``model.safetensors`` (the policy file, byte for byte) and ``README.md`` with the front
matter of the Hugging Face hub (https://huggingface.co/docs/hub/model-cards). The same policy gives the same bytes.
What can go wrong: the folder holds something else under these names already; then nothing is written.

The page and ``config.json`` name no people and no places: options that hold texts or paths are left out, players and
replay files are counted. The weights' own metadata is not changed: what it tells of people is in ``told_of``.
"""

from __future__ import annotations

import filecmp
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from exphil.errors import DataError, OutputError, PolicyError
from exphil.files import read_json, write
from exphil.train.described import Described
from exphil.train.runfiles import AVERAGE, PAGE, POLICY

CONFIG, MODEL, README = "config.json", "model.safetensors", "README.md"
LIBRARY = "exphil"
VERSION = 1
"""Of ``config.json``; a reader refuses another one."""
TAGS = ("super-smash-bros-melee", "slippi", "imitation-learning", "behavioral-cloning", "game-ai")
_OTHER_FOLDER = "choose another --output, or move it away if it may go"
_MOST = 600  # letters of one thing on the page
FEATURES = ("stage_mode", "action_mode", "character_mode", "nana_mode", "player_mode", "jumps_normalized")
FEATURES_TOO = ("stage_motion", "ic_tech", "allow_missing", "umi_safe")
LEARNING = (
    "optimizer",
    "lr",
    "lr_schedule",
    "weight_decay",
    "batch_size",
    "accumulation_steps",
    "precision",
    "dropout",
)


@dataclass(frozen=True)
class Facts:
    """What is known of a policy besides what its file says.

    Attributes:
        name: Of the policy, for the page.
        options: Options of the run that hold no text and no path, as JSON has them.
        changed: Those of them that are not the default: flag, value, default, as texts.
        network: Its layers, in a line.
        sees: What it sees, in words.
        presses: Its choices, in words.
        answers: How late it answers, in words.
        widths: Floats and ids of a frame.
        delays: The least and the most frames of delay that it learned.
        losses: ``train``, ``held_out``, ``best``, ``best_epoch`` and ``baselines`` (by name), nats per decision.
        page: What ``NAME_config.json`` of the same run says; empty when there is none.
        place: Where it is shared, ``USER/NAME``; empty when nobody knows yet.
    """

    name: str
    options: Mapping[str, Any]
    changed: Sequence[tuple[str, str, str]]
    network: str
    sees: str
    presses: str
    answers: str
    widths: tuple[int, int]
    delays: tuple[int, int]
    losses: Mapping[str, Any]
    page: Mapping[str, Any]
    place: str = ""


def page_of(policy: Path, said: Described) -> dict[str, Any]:
    """The provenance page beside a policy, if it is of the same run and state; else nothing."""
    ending = next((ending for ending in (AVERAGE, POLICY, ".pt") if policy.name.endswith(ending)), None)
    if ending is None:
        return {}
    path = policy.with_name(policy.name.removesuffix(ending) + PAGE)
    try:
        found = read_json(path, "not a page of a run", "")
    except DataError:
        return {}
    same = ("name", "seed", "updates")
    fits = isinstance(found, dict) and all(found.get(name) == said.training.get(name) for name in same)
    return found if fits else {}


def told_of(said: Described, places: Sequence[str]) -> tuple[int, list[str]]:
    """What the metadata of the weights tells of people: how many players it names, and folders and files by option.

    Args:
        said: What the file says.
        places: The options that hold paths.
    """
    named = [f"--{name.replace('_', '-')} {said.config[name]}" for name in places if _is_place(said.config.get(name))]
    parent = said.training.get("parent")
    return len(said.players.get("players", {})), named + ([f"begun with {parent}"] if _is_place(parent) else [])


def _is_place(value: Any) -> bool:
    """Whether a value says more of a machine than a name does."""
    return isinstance(value, str) and bool(re.match(r"[/\\~]|[A-Za-z]:|file:|.*(home|Users)[/\\]", value))


def save(folder: Path, policy: Path, said: Described, facts: Facts) -> list[Path]:
    """Write the folder; what stands there with the same bytes stays.

    Args:
        folder: Made when it is missing.
        policy: A whole policy file.
        said: What it says.
        facts: What else is known.

    Returns:
        The three files.

    Raises:
        OutputError: one of the names is taken by something else, or the folder cannot be written.
    """
    words = {CONFIG: config(policy, said, facts).encode(), README: readme(policy, said, facts).encode()}
    for name in (CONFIG, MODEL, README):
        path = folder / name
        same = _same_file(path, policy) if name == MODEL else path.is_file() and path.read_bytes() == words[name]
        if path.exists() and not same:
            raise OutputError("stands there already and says something else", str(path), _OTHER_FOLDER)
    write(folder / MODEL, lambda out: _copy(policy, out), _OTHER_FOLDER)
    for name, content in words.items():
        write(folder / name, _writer(content), _OTHER_FOLDER)
    return [folder / name for name in (CONFIG, MODEL, README)]


def folder_of(policy: Path) -> Path | None:
    """The folder that a policy lies in, if ``save`` made it; its page may have been mended by hand since.

    Raises:
        PolicyError: its ``config.json`` is of other weights.
    """
    folder = policy.parent
    if policy.name != MODEL or not all((folder / name).is_file() for name in (CONFIG, README)):
        return None
    try:
        told = json.loads((folder / CONFIG).read_bytes())["sha256"]
    except (ValueError, LookupError, TypeError, RecursionError):
        told = None
    if told != sha256(policy):
        what = f"{CONFIG} beside it is of other weights"
        raise PolicyError(what, str(policy), "exphil export card makes the folder anew")
    return folder


def _same_file(path: Path, policy: Path) -> bool:
    return path.is_file() and filecmp.cmp(path, policy, shallow=False)


def _writer(content: bytes) -> Callable[[BinaryIO], object]:
    return lambda out: out.write(content)


def _copy(policy: Path, out: BinaryIO) -> None:
    with policy.open("rb") as file:
        shutil.copyfileobj(file, out, 1 << 20)


def sha256(path: Path) -> str:
    """Of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def config(policy: Path, said: Described, facts: Facts) -> str:
    """``config.json``: what a program must know before it fetches the weights."""
    content = {
        "library_name": LIBRARY,
        "card": VERSION,
        "name": shown(facts.name),
        "sha256": sha256(policy),
        "size_bytes": policy.stat().st_size,
        "parameters": said.parameters,
        "fingerprint": said.fingerprint,
        "floats": facts.widths[0],
        "ids": facts.widths[1],
        "delays": list(facts.delays),
        "styles": len(said.players.get("players", {})),
        "options": dict(facts.options),
    }
    return json.dumps(content, indent=2) + "\n"


def readme(policy: Path, said: Described, facts: Facts) -> str:
    """``README.md``: the front matter that the hub reads, and the page."""
    front = ["---", f"library_name: {LIBRARY}", "tags:", *(f"- {tag}" for tag in TAGS), "---"]
    parts = [
        front,
        [f"# {shown(facts.name)}"],
        _what(said, facts),
        _use(facts),
        _data(said, facts.page),
        _table("Characters in the games it learned from", ("character", "decisions"), _characters(facts.page)),
        _features(said, facts),
        _predicts(facts.losses),
        _training(said, facts),
        _table("Options that are not the default", ("option", "value", "default"), facts.changed),
        _licence(said),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def shown(text: object) -> str:
    """A word of a file that may come from anywhere, without letters that mean something on a page."""
    return re.sub(r"[^\w .,:+/()%#-]", "?", str(text)).strip()[:_MOST] or "?"


def _lines(facts: Mapping[str, object]) -> list[str]:
    return [f"- {word}: {shown(text)}" for word, text in facts.items() if text not in (None, "")]


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    body = [f"| {' | '.join(shown(cell) for cell in row)} |" for row in rows]
    return [f"## {title}", "", f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}", *body] if body else []


def _number(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, (int, float)) and not isinstance(value, bool) else "not known"


def _what(said: Described, facts: Facts) -> list[str]:
    averaged = "; these weights are the average over updates" if said.training.get("average") else ""
    return [
        "A policy that plays Super Smash Bros. Melee. It learned by imitation (behavioural cloning) to press what",
        "people pressed in recorded games (Slippi replays). Made with exphil.",
        "",
        *_lines(
            {
                "network": facts.network + averaged,
                "parameters": f"{said.parameters:,}",
                "sees": facts.sees,
                "presses": facts.presses,
                "answers": facts.answers,
                "styles of players that it can be asked for": len(said.players.get("players", {})) or "none",
            }
        ),
    ]


def _use(facts: Facts) -> list[str]:
    place = facts.place or "USER/NAME"
    file = f"checkpoints/{file_name(place)}"
    fetch = ['pip install "exphil[hub]"', f"exphil pull hf:{place}"]
    lines = [
        f"exphil info {file}",
        f"exphil evaluate {file} --replays replays",
        f"exphil play {file} --socket arena.sock",
    ]
    return ["## Use it", "", "```sh", *fetch, *lines, "```"]


def file_name(place: str) -> str:
    """What ``exphil pull`` calls the policy of ``USER/NAME``."""
    return place.replace("/", "_") + POLICY


def _data(said: Described, page: Mapping[str, Any]) -> list[str]:
    learned, held_out = (sorted(map(str, said.training.get(name, ()))) for name in ("learned", "held_out"))
    told = {
        "games learned from": f"{len(learned):,}",
        "games held out": f"{len(held_out):,}",
        "decisions learned from": _number(page.get("training_frames")),
        "decisions held out": _number(page.get("validation_frames")),
        "hash over the digests of the games learned from": "sha256:" + _digest(learned),
        "hash over names and contents of all replay files": page.get("replay_manifest_hash", "not known"),
    }
    return ["## The games it learned from", "", *_lines(told)]


def _digest(digests: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _characters(page: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = page.get("character_distribution")
    rows = found.items() if isinstance(found, dict) else ()
    return [(name, _number(count)) for name, count in rows]


def _features(said: Described, facts: Facts) -> list[str]:
    words = {name: facts.options.get(name) for name in (*FEATURES, *FEATURES_TOO)}
    told = {"floats and ids of a frame": f"{facts.widths[0]} and {facts.widths[1]}", "fingerprint": said.fingerprint}
    least, most = facts.delays
    told["frames of delay beyond the next frame"] = f"{least} to {most}" if least < most else str(least)
    plain = {f"--{name.replace('_', '-')}": _plain(value) for name, value in words.items()}
    return ["## What a frame is to it", "", *_lines(told | plain)]


def _plain(value: Any) -> Any:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _predicts(losses: Mapping[str, Any]) -> list[str]:
    rows = [
        ("last epoch, games learned from", losses["train"], ""),
        ("last epoch, held-out games", losses["held_out"], ""),
        (f"best epoch ({losses['best_epoch']}), held-out games", losses["best"], ""),
    ]
    most = {"copy-previous": "at most "}
    rows += [
        (f"baseline {name}, games learned from", of, most.get(name, "")) for name, of in losses["baselines"].items()
    ]
    table = _table(
        "How well it predicts people",
        ("what", "nats per decision"),
        [(what, f"{bound}{loss:.4f}") for what, loss, bound in rows if loss is not None],
    )
    if losses["held_out"] is None:
        table += ["", "No games were held out: how well it predicts games that it did not see is not known."]
    return [
        *table,
        "",
        "The baselines look at nothing; theirs are the games it learned from. `exphil evaluate` measures it and",
        "them on the same games.",
        "",
        "Less is better. Validation loss does not rank play: how well people are predicted says little about how well",
        "a policy plays. How well this one plays is not known from its file.",
    ]


def _training(said: Described, facts: Facts) -> list[str]:
    words, page = said.training, facts.page
    seconds = page.get("total_time_seconds")
    told = {
        "epochs": f"{_number(words.get('epochs_done'))} of {_number(facts.options.get('epochs'))}",
        "updates": _number(words.get("updates")),
        "seconds": f"{seconds:,.0f}" if isinstance(seconds, (int, float)) else "not known",
        "seed": words.get("seed"),
        "exphil": page.get("exphil_version", "version not known"),
    }
    plain = {f"--{name.replace('_', '-')}": _plain(facts.options.get(name)) for name in LEARNING}
    return ["## How it was trained", "", *_lines(told | plain)]


def _licence(said: Described) -> list[str]:
    names = len(said.players.get("players", {}))
    people = [
        "",
        f"The metadata of `{MODEL}` names the players whose styles it knows ({names:,}), by connect code or tag.",
    ]
    return [
        "## Licence and people",
        "",
        "No licence is named in this page: it is for whoever shares the policy to choose one and to add `license:` to",
        "the first lines. What the replays may be used for is not in the files of a run either: it is the duty of",
        "whoever trained it to know. Super Smash Bros. Melee is Nintendo's; no part of the game is in these files.",
        *(people if names else []),
    ]
