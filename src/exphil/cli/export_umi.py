"""``exphil export umi POLICY``: an entry for the Computer Melee Championship, as a zip to upload.

Its own earlier file is replaced; anything else that stands in its place is refused.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from exphil import assemble
from exphil.cli.shown.drawing import shown_bytes
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.errors import OutputError, PolicyError
from exphil.files import check_writable, write
from exphil.game.frames import Lacks
from exphil.play.entry import RUN, entry, is_entry, zipped
from exphil.play.learned import Learned
from exphil.play.playable import from_graph
from exphil.play.umi import DELAYS, delay_of, names
from exphil.train.runfiles import POLICY

FIX = "choose another --output"
UNSEEN = {Lacks.STADIUM: "the form of Pokemon Stadium", Lacks.WHISPY: "Whispy's wind"}
CHECK = f"to check it: unzip it, pip install -r requirements.txt, then umi-conform --cmd 'python {RUN}' --realtime"


def run(settings: Settings, policy: Path) -> int:
    """Write it and say what it holds."""
    terminal = Terminal.of(settings)
    place = _place(policy, settings.written.output)
    _check(place)
    graph, learned = _graph(policy)
    delay = delay_of(learned, assemble.asked_delay(settings))
    name, characters = settings.name.name or learned.name, names(settings.characters.characters)
    style, manner = assemble.style(learned, settings.playing.style), assemble.manner(settings)
    files = entry(graph, name=name, characters=characters, delay=delay, manner=manner, style=style)
    content, done = zipped(files), "replaced" if place.exists() else "written"
    write(place, lambda file: file.write(content), FIX)
    sizes = {file: len(held) for file, held in files.items()}
    ours = [file for file in files if file.startswith("exphil/")]
    board = f"delay {delay}" if delay in DELAYS else "imitation"
    if settings.output.json:
        told = {"name": name, "characters": characters, "delay": delay, "leaderboard": board}
        terminal.data({"path": place, "replaced": done == "replaced", **told, "bytes": len(content), "files": sizes})
    else:
        rows = [(file, shown_bytes(size)) for file, size in sizes.items() if file not in ours]
        rows.append((f"exphil/ ({len(ours)} files)", shown_bytes(sum(sizes[file] for file in ours))))
        terminal.table(f"{place}", ("file", "size"), rows)
    who = characters if isinstance(characters, str) else ", ".join(characters)
    terminal.say(f"{done}: {place}, {shown_bytes(len(content))}; {name} plays {who}, {delay} frames late")
    _leaderboard(terminal, learned, delay)
    terminal.say(CHECK)
    return 0


def _leaderboard(terminal: Terminal, learned: Learned, delay: int) -> None:
    if delay in DELAYS:
        terminal.say(f"for the leaderboard of delay {delay}")
    else:
        fix = "train with --frame-delay 18 or 21 for the others"
        terminal.say(f"for the imitation leaderboard only: the others play at delay 18 or 21; {fix}")
    unseen = [says for bit, says in UNSEEN.items() if bit in learned.table.needed]
    if unseen:
        what = f"the policy learned to look at {' and '.join(unseen)}, which UMI does not show"
        terminal.warn(f"{what}: it will see zeros there; train with --umi-safe")


def _graph(policy: Path) -> tuple[bytes, Learned]:
    """The exported policy and what must be known of it."""
    with TemporaryDirectory() as folder:
        path, learned = policy, None
        if policy.suffix != assemble.GRAPH:
            path = Path(folder) / f"policy{assemble.GRAPH}"
            learned = assemble.exported(policy, path, with_players=False)  # a style is a number there
        read = from_graph(path).learned  # it will have to be read there, so it is read here
        try:
            return path.read_bytes(), learned or read
        except OSError as error:
            raise PolicyError(f"cannot be read ({error.strerror})", str(path)) from None


def _place(policy: Path, output: Path | None) -> Path:
    """Where the zip goes: beside the policy under its name, in the folder that was named, or exactly there."""
    named = f"{policy.name.removesuffix(POLICY).removesuffix(policy.suffix)}_umi.zip"
    if output is None:
        return policy.with_name(named)
    return output / named if output.is_dir() else output


def _check(place: Path) -> None:
    """That the file can be written, and that nothing but an earlier entry stands there."""
    check_writable(place, FIX)
    if place.exists() and not is_entry(place.read_bytes()):
        raise OutputError("holds something else than an entry for UMI, so it is not replaced", str(place), FIX)
