"""``exphil export onnx POLICY``: the policy as one graph, shown made-up frames beside torch before it is kept."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from exphil.assemble.playing import EXPORT, exported, playable
from exphil.cli.running import placing
from exphil.cli.shown.drawing import many, shown_bytes
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.errors import extra
from exphil.files import write
from exphil.models.graph import check_seal
from exphil.train.runfiles import GRAPH

FRAMES, SEED = 300, 0
CLOSE, ALIKE = 1e-4, 0.999
"""What a graph in float32 keeps within: nats of a component's log-probability, and the share of equal actions."""
COLUMNS = ("graph", "size", "off by at most", "same actions", "same parts", "ms a decision")
NOTE = f"{FRAMES} made-up frames, always the likeliest action, beside torch ({{ms:.3f}} ms a decision)"


def run(settings: Settings, policy: Path) -> int:
    """Write it, compare it, say what was found."""
    from exphil.evaluate.agreement import compare, made_up
    from exphil.models.quantize import quantize

    terminal, int8 = Terminal.of(settings), settings.graph.int8
    ending = f"{'_int8' if int8 else ''}{GRAPH}"
    place = placing.place(policy, settings.written.output, ending, _is_export, "an exported policy")
    for module in EXPORT:
        extra(module, "export", "writing a policy as a graph")
    reference, learned = playable(policy, "reference", "cpu", 1)
    rows = made_up(learned.table, FRAMES, SEED)
    with TemporaryDirectory() as folder:
        made = [Path(folder) / "float32.onnx"]
        exported(policy, made[0])
        if int8:
            made.append(Path(folder) / "int8.onnx")
            quantize(*made)
        sizes = [path.stat().st_size for path in made]
        found = [compare(reference, playable(path, "fast", "cpu", 1)[0], *rows) for path in made]
        content = made[-1].read_bytes()
    done = "replaced" if place.exists() else "written"
    write(place, lambda file: file.write(content), placing.FIX)
    if settings.output.json:
        told = zip(made, sizes, found, strict=True)
        figures = {path.stem: {"bytes": size, **each._asdict()} for path, size, each in told}
        terminal.data(
            {"path": place, "replaced": done == "replaced", "weights": made[-1].stem, "beside_torch": figures}
        )
    else:
        cells = [
            (f"{each.log_prob:.1e}", f"{each.actions:.2%}", f"{each.components:.3%}", f"{each.other_ms:.3f}")
            for each in found
        ]
        named = [(path.stem, shown_bytes(size)) for path, size in zip(made, sizes, strict=True)]
        terminal.table(f"{place}", COLUMNS, [(*a, *b) for a, b in zip(named, cells, strict=True)])
        terminal.say(NOTE.format(ms=found[0].reference_ms))
    if found[0].log_prob > CLOSE or found[0].actions < ALIKE:
        much = f"{CLOSE:g} nats and {1 - ALIKE:.1%} of the actions"
        terminal.warn(f"the graph differs from torch by more than {much}: compare them on your own games before use")
    if learned.players.players:
        terminal.warn(f"the graph names {many(len(learned.players.players), 'player')} whose styles it knows")
    terminal.say(f"{done}: {place}, {shown_bytes(sizes[-1])}; docs/export.md says what enters and leaves it")
    return 0


def _is_export(content: bytes) -> bool:
    try:
        check_seal(content)
    except ValueError:
        return False
    return True
