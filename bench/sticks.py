"""What the game would do otherwise after sticks were encoded and decoded: equal steps beside learned centres.

Learned on two of three games of the shared replays (full games and peers' games), measured on every third, by file.
``any`` is the share of all frames of players whose main stick lands in another zone of at least one kind (see
``exphil.features.zones``), ``off rest`` the same among the frames whose stick is not at rest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import report
from exphil.data.sticks import Sticks, count
from exphil.features import kmeans, zones
from exphil.features.action import Codec
from exphil.features.kmeans import Centres
from exphil.game.controller import STICK_STEPS
from exphil.replays import library, sources
from exphil.replays.choosing import Choice
from exphil.replays.library import Loaded, Reading

EVERY = 3  # one game of so many is held out
EQUAL, LEARNED = (17, 21, 33), (17, 21, 33)


def counted(games: list[Loaded]) -> Sticks:
    """The sticks of some games, of one recording of each."""
    sticks = Sticks()
    count(games, sticks, skip_duplicates=True, skip_errors=True)
    return sticks


def main() -> None:
    args = report.arguments(__doc__, replays="../shared/replays")
    found = sources.find(Path(args.replays)).sources
    answers = library.load(found, Reading(Choice(both=True, allow_missing=True)))
    first = {each.about.identity: each for each in answers if isinstance(each, Loaded)}  # one recording of each game
    games = sorted(first.values(), key=lambda each: each.digest)
    held_out = games[::EVERY]
    learned, measured = counted([each for each in games if each not in held_out]), counted(held_out)
    shoulder = Codec.uniform().shoulder
    codecs = {f"{classes} equal steps": Codec.uniform(classes - 1) for classes in EQUAL}
    for classes in LEARNED:
        for per_axis, name in ((False, "shared"), (True, "own of each axis")):
            (centres,) = Centres.of(learned.held, [classes], per_axis)
            codecs[f"{classes} learned, {name}"] = Codec(centres.axes4(), shoulder)
    rows: list[list[Any]] = []
    result: dict[str, Any] = {
        "games_learned": learned.files, "games_held_out": measured.files, "frames_held_out": measured.frames,
        "at_rest": {
            "main": round(float(measured.held[0, STICK_STEPS, STICK_STEPS] / measured.frames), 4),
            "c": round(float(measured.held[1, STICK_STEPS, STICK_STEPS] / measured.frames), 4),
        },
    }  # fmt: skip
    for name, codec in codecs.items():
        shares, error = zones.shares(codec, measured.held), kmeans.rms_steps(codec, measured.held)
        rounded = {stick: {kind: round(share, 5) for kind, share in kinds.items()} for stick, kinds in shares.items()}
        result[name] = {"rms_steps": round(error, 4), **rounded}
        main_stick, c_stick = shares["main"], shares["c"]
        kinds = [100 * main_stick[kind] for kind in ("any", "any_off_rest", *zones.MAIN)]
        rows.append([name, error, *kinds, 100 * c_stick["any_off_rest"]])
    title = f"{measured.files} held-out games, {measured.frames:,} frames; main stick in another zone, in %"
    columns = ["classes", "rms 1/80", "any", "off rest", *zones.MAIN, "C off rest"]
    report.show(args, result, title, columns, rows)


if __name__ == "__main__":
    main()
