"""Python, exphil and the packages that it cannot do without, as their metadata says; none of them is imported.

What enters: what ``importlib.metadata`` finds. What leaves: findings. What can go wrong: exphil runs from a folder that
was never installed, so that nobody says what it needs; that is a finding too.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Mapping, Sequence

from exphil.cli.checks.finding import OK, PROBLEM, WARNING, Asked, Finding
from exphil.cli.checks.requirements import Requirement, allows, requirements, version

OLDEST = (3, 11)
"""Of Python, as pyproject.toml says."""
REINSTALL = "install exphil again, in its folder:\npip install -e ."


def python(asked: Asked) -> Iterator[Finding]:
    """Of this process."""
    machine = f"{platform.system()} {platform.release()} on {platform.machine() or 'an unknown processor'}"
    yield judge_python(sys.version_info[:3], machine)


def judge_python(found: Sequence[int], machine: str) -> Finding:
    """Old ones lack what exphil is written in."""
    words = f"{'.'.join(map(str, found))}, {machine}"
    if tuple(found) < OLDEST:
        return Finding("Python", PROBLEM, words, f"exphil needs Python {'.'.join(map(str, OLDEST))} or newer")
    return Finding("Python", OK, words)


def packages(asked: Asked) -> Iterator[Finding]:
    """Exphil and what it cannot do without, but for torch, which has a line of its own."""
    needed = [each for each in requirements() if not each.extra and each.name != "torch"]
    yield judge_packages(version("exphil"), needed, {each.name: version(each.name) for each in needed})


def judge_packages(own: str | None, needed: Sequence[Requirement], found: Mapping[str, str | None]) -> Finding:
    """Every package has to be there, in a version that exphil was made for."""
    if own is None:
        what = "runs from its folder without being installed, so nobody can say which packages fit"
        return Finding("exphil", WARNING, what, REINSTALL)
    missing = [each.name for each in needed if found[each.name] is None]
    unfit = [
        f"{each.name} {has} ({each.allowed})"
        for each in needed
        if (has := found[each.name]) and not allows(each.allowed, has)
    ]
    trouble = [f"missing {', '.join(missing)}"] if missing else []
    trouble += [f"of another version than it was made for: {', '.join(unfit)}"] if unfit else []
    if trouble:
        return Finding("exphil", PROBLEM if missing else WARNING, f"{own}; {'; '.join(trouble)}", REINSTALL)
    return Finding("exphil", OK, f"{own}, with the {len(needed)} packages that it needs besides torch")
