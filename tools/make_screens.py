"""Writes what a person sees of a run into ``tests/golden/screens``: 80 and 120 letters wide, Unicode and ASCII.

``python tools/make_screens.py`` writes the screens; with ``--check`` it writes nothing, shows what differs and exits 1.
What is shown is made up, so that a screen changes only when its layout does.
"""

from __future__ import annotations

import difflib
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from exphil.cli.running.ending import Ended, ending
from exphil.cli.running.pace import Pace
from exphil.cli.shown import drawing
from exphil.cli.terminal import Terminal

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "golden" / "screens"
SCREENS = {
    f"{width}-{name}.txt": (width, encoding)
    for width in (80, 120)
    for name, encoding in (("unicode", "utf-8"), ("ascii", "ascii"))
}
EPOCHS, STEPS, FRAMES = 10, 40, 40960.0
SCAN = (
    ("Game_20240131T181203.slp", 7342, "3.16.0", "fountain_of_dreams", "1 fox MANG#0 / 2 falco PLUP#123", ""),
    ("ranked/2024/Game_20240131T182517.slp", 10215, "3.16.0", "battlefield", "1 marth / 3 sheik JMOOK#1", ""),
    ("old/Game_20180504T201500.slp", 1802, "0.1.0", "-", "-", "the file ends early; no post-frame event of port 2"),
)
VALUES = (
    ("--replays", "replays", "variable EXPHIL_REPLAYS_DIR"),
    ("--backbone", "mamba", "preset standard"),
    ("--lr", "0.0003", "default"),
    ("--temporal", "true", "implied by --backbone mamba"),
)


class Clock:
    """Seconds that go on only when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now


def screen(width: int, encoding: str) -> str:
    """Everything that a run says, answers and talk in one."""
    stream, clock = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n", write_through=True), Clock()
    terminal = Terminal(verbose=True, out=stream, err=stream, width=width, clock=clock)
    _before(terminal)
    losses = _training(terminal, clock, width, encoding == "utf-8")
    _after(terminal, losses)
    return stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


def _before(terminal: Terminal) -> None:
    terminal.step(1, 5, "settings")
    terminal.say("note: --backbone mamba learns from sequences: --temporal is implied")
    terminal.table("Training", ("option", "value", "source"), VALUES)
    terminal.step(2, 5, "reading replays")
    terminal.say(f"{'files':<10} 1,204 found, 1,180 may be used by what they begin with")
    terminal.table("replays", ("file", "frames", "version", "stage", "players", "problems"), SCAN)
    terminal.bars("Quality of the games", [("0-9", 3), ("50-59", 122), ("90-100", 1055)])
    terminal.warn(
        "these games do not fit into the free memory: --stream-chunk-size 300 keeps so many files open at a time"
    )
    terminal.step(3, 5, "network")
    terminal.say(f"{'policy':<10} mamba, 1,843,210 parameters, on cuda with 8 threads")
    seed = "1862439201 (use --seed 1862439201 to reproduce)"
    terminal.say(f"{'data':<10} 1,062 games, 9,812,345 decisions, 118 games held out; seed {seed}")


def _training(terminal: Terminal, clock: Clock, width: int, blocks: bool) -> tuple[list[float], list[float]]:
    terminal.step(4, 5, "training")
    pace, train, held_out = Pace(EPOCHS * STEPS, EPOCHS, clock), [], []
    for epoch in range(1, EPOCHS + 1):
        with terminal.progress(STEPS, f"epoch {epoch}/{EPOCHS}", every=20) as bar:
            for step in range(1, STEPS + 1):
                updates = (epoch - 1) * STEPS + step
                clock.now += 2.5
                pace.saw(updates, epoch, 0.8 + 1.5 / (1 + updates / 30), FRAMES, 2.5)
                if epoch in (1, 2, EPOCHS):
                    bar.update(step, **pace.facts())
                if updates == 52:
                    facts = [(name.replace("_per_", "/"), value) for name, value in pace.facts().items()]
                    told = [("", f"{drawing.shown_clock(70)} left"), *facts]
                    terminal.say("(a bar in a terminal)")
                    name = f"epoch {epoch}/{EPOCHS}"
                    terminal.say(drawing.progress_line(width - 1, name, step, STEPS, told, blocks), whole=True)
        clock.now += 12
        train.append(0.8 + 1.5 / (1 + epoch * 1.4))
        held_out.append(train[-1] + 0.02 * abs(epoch - 6))
        both = f"train {train[-1]:.4f}, held out {held_out[-1]:.4f} nats per decision"
        terminal.say(f"epoch {epoch}/{EPOCHS}: {both}{' (best so far)' if held_out[-1] == min(held_out) else ''}")
    terminal.detail("update 400: lr 3.00e-06, gradient 0.412")
    terminal.warn("GPU memory is 92 % full: lower --batch-size or use --gradient-checkpoint before it runs out")
    return train, held_out


def _after(terminal: Terminal, losses: tuple[Sequence[float], Sequence[float]]) -> None:
    terminal.step(5, 5, "results")
    terminal.graph("Nats per decision", {"train": losses[0], "held out": losses[1]})
    policy = Path("checkpoints") / "mamba_20240131_181203_policy.safetensors"
    best = policy.with_name("mamba_20240131_181203_best_policy.safetensors")
    done = (400, 16_384_000.0, losses[1], min(losses[1]), 1.2)
    early = "the loss fell by less than 0.01 nats in 3 epochs"
    places = {"policy": policy, "best": best}
    for line in ending(Ended(1120.4, 1120.4, 10, 12, *done, early, places, Path("replays")), terminal.shows_sparks):
        terminal.say(line, whole=True)
    terminal.error("checkpoints: cannot be written\n  hint: free some space or choose another --checkpoints-dir")


def main(arguments: list[str]) -> int:
    """Writes or checks every screen; the exit code is 1 when a checked one differs."""
    stale = 0
    for name, (width, encoding) in SCREENS.items():
        path, text = FOLDER / name, screen(width, encoding)
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
            continue
        kept = path.read_text(encoding="utf-8") if path.exists() else ""
        if kept != text:
            stale += 1
            differs = difflib.unified_diff(kept.splitlines(True), text.splitlines(True), f"kept {name}", f"now {name}")
            sys.stderr.write("".join(differs))
    if stale:
        sys.stderr.write(f"error: {stale} screens are not what the code shows\n  hint: python tools/make_screens.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
