"""Stick centres beside scikit-learn's k-means (one start), in one run: CPU time a value, and the error that is left.

Both get the stick values of the shared replays as float32 and end with 21 centres. Ours goes the way of ``exphil
kmeans``: the controllers of one player of a game after the other are counted, then the best centres are found. The goal
is 100 times the speed a value and never a larger error. scikit-learn gets fewer values, so that the bench ends soon;
beside that, "ours_same" is ours on as few.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import report
from exphil.data.sticks import Sticks, count
from exphil.features import kmeans
from exphil.features.kmeans import Centres
from exphil.game.controller import Controller, neutral
from exphil.replays import library, sources
from exphil.replays.choosing import Choice
from exphil.replays.library import Reading

GOAL = 100.0
FRAMES = 10_000  # of a game


def values_of(replays: Path) -> np.ndarray:
    """Every stick value of the folder, float32, mixed."""
    sticks = Sticks()
    answers = library.load(sources.find(replays).sources, Reading(Choice(both=True, allow_missing=True)))
    count(answers, sticks, skip_duplicates=True, skip_errors=True)
    counts = kmeans.histograms(sticks.held).sum(0)
    steps = np.arange(len(counts)) - len(counts) // 2
    values = np.repeat((steps / (len(counts) // 2)).astype(np.float32), counts)
    np.random.default_rng(0).shuffle(values)
    return values


def games_of(values: np.ndarray) -> list[Controller]:
    """The values as controllers of players, four a frame."""
    games = []
    for columns in (part.T.copy() for part in np.split(values.reshape(-1, 4), range(FRAMES, len(values) // 4, FRAMES))):
        main_x, main_y, c_x, c_y = columns
        games.append(neutral(columns.shape[1])._replace(main_x=main_x, main_y=main_y, c_x=c_x, c_y=c_y))
    return games


def main() -> None:
    args = report.arguments(
        __doc__, replays="../shared/replays", k=21, ours=10_000_000, theirs=1_000_000, best_of=3, seeds=5
    )
    if find_spec("sklearn") is None:
        sys.exit("error: scikit-learn is not installed; it is only needed here\n  hint: pip install scikit-learn")
    import sklearn
    from sklearn.cluster import KMeans

    values = values_of(Path(args.replays))
    column = np.resize(values, args.theirs // 4 * 4)[:, None]
    few, many = games_of(column), games_of(np.resize(values, args.ours // 4 * 4))

    def ours(games: list[Controller]) -> Centres:
        held = np.zeros((2, kmeans.PLACES, kmeans.PLACES), np.int64)
        for controller in games:
            held += kmeans.positions(controller)
        return Centres.of(held, [args.k])[0]

    theirs = [KMeans(args.k, n_init=1, random_state=seed).fit(column).inertia_ for seed in range(args.seeds)]
    seconds = {
        "ours": report.cpu_seconds(lambda: ours(many), args.best_of),
        "ours_same": report.cpu_seconds(lambda: ours(few), args.best_of),
        "sklearn": report.cpu_seconds(lambda: KMeans(args.k, n_init=1, random_state=0).fit(column), args.best_of),
    }
    count_of = {"ours": ours(many).values, "ours_same": ours(few).values, "sklearn": len(column)}
    each = {name: spent / count_of[name] * 1e9 for name, spent in seconds.items()}
    exact = ours(few)
    error = {"ours": exact.squared_error, "sklearn_best": min(theirs), "sklearn_worst": max(theirs)}
    result = {
        "k": args.k,
        "values": count_of,
        "nanoseconds_a_value": {name: round(spent, 2) for name, spent in each.items()},
        "times_sklearn": round(each["sklearn"] / each["ours"], 1),
        "times_sklearn_same_values": round(each["sklearn"] / each["ours_same"], 1),
        "bound": GOAL,
        "squared_error": {name: round(float(left), 4) for name, left in error.items()},
        "sklearn_error_times_ours": [round(float(left) / exact.squared_error, 4) for left in theirs],
        "sklearn_version": sklearn.__version__,
    }
    rows = [[name, count_of[name], seconds[name], each[name], each["sklearn"] / each[name]] for name in seconds]
    title = (
        f"{args.k} centres; squared error ours {exact.squared_error:.2f}, theirs {min(theirs):.2f} to {max(theirs):.2f}"
    )
    report.show(args, result, title, ["what", "values", "CPU s", "ns a value", "times sklearn"], rows)


if __name__ == "__main__":
    main()
