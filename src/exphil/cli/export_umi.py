"""``exphil export umi POLICY``: an entry for the Computer Melee Championship, as a zip to upload."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from exphil import assemble
from exphil.cli.running import placing
from exphil.cli.shown.drawing import many, shown_bytes
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.errors import extra
from exphil.files import write
from exphil.game.frames import Lacks
from exphil.play.entry import REQUIREMENTS, RUN, entry, is_entry, zipped
from exphil.play.playable import from_graph
from exphil.play.umi import DELAYS, delay_of, named, names
from exphil.train.runfiles import GRAPH

UNSEEN = {Lacks.STADIUM: "the form of Pokemon Stadium", Lacks.WHISPY: "Whispy's wind"}
CHECK = "unzip {place} -d entry && cd entry && pip install -r {needs} && umi-conform --cmd 'python {run}' --realtime"


def run(settings: Settings, policy: Path) -> int:
    """Write it and say what it holds."""
    terminal = Terminal.of(settings)
    place = placing.place(policy, settings.written.output, "_umi.zip", is_entry, "an entry for UMI")
    for module in ("umi", "onnxruntime", *(() if policy.suffix == GRAPH else ("onnx", "onnxscript"))):
        extra(module, "export,umi", "an entry for UMI")
    learned = assemble.learned_in(policy)
    delay = delay_of(learned, assemble.asked_delay(settings))
    name, characters = named(settings.name.name or learned.name), names(settings.characters.characters)
    style, manner = assemble.style(learned, settings.playing.style), assemble.manner(settings)
    files = entry(_graph(policy), name=name, characters=characters, delay=delay, manner=manner, style=style)
    content, done = zipped(files), "replaced" if place.exists() else "written"
    write(place, lambda file: file.write(content), placing.FIX)
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
    who = "all characters" if isinstance(characters, str) else ", ".join(characters)
    terminal.say(f"{done}: {place}, {shown_bytes(len(content))}; {name} plays {who}, {_board(delay)}")
    known = len(learned.players.players)
    if known and policy.suffix == GRAPH:
        what = f"the graph names {many(known, 'player')} whose styles it knows, and so does the entry"
        terminal.warn(f"{what}: made of the policy file it names none")
    unseen = [says for bit, says in UNSEEN.items() if bit in learned.table.needed]
    if unseen:
        what = f"the policy learned to look at {' and '.join(unseen)}, which UMI does not show"
        terminal.warn(f"{what}: it will see zeros there; train with --umi-safe")
    terminal.say("to check it:")
    terminal.say(CHECK.format(place=place, needs=REQUIREMENTS, run=RUN), whole=True)
    return 0


def _board(delay: int) -> str:
    """Where an entry can be entered."""
    if delay in DELAYS:
        return f"delay {delay}: for the leaderboard of delay {delay}"
    return f"delay {delay}: for the imitation leaderboard alone (the others are of delay {DELAYS[0]} and {DELAYS[1]})"


def _graph(policy: Path) -> bytes:
    """The exported policy; a style is a number there, so no player is named."""
    with TemporaryDirectory() as folder:
        path = policy
        if policy.suffix != GRAPH:
            path = Path(folder) / f"policy{GRAPH}"
            assemble.exported(policy, path, with_players=False)
        from_graph(path)  # it will have to be read there, so it is read here
        return path.read_bytes()
