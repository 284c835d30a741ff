"""Packages that nobody must have: the extras of exphil, and two that write over each other; none is imported.

What enters: what ``importlib.metadata`` finds. What leaves: findings. Nothing raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from exphil.cli.checks.finding import OK, WARNING, Asked, Finding
from exphil.cli.checks.requirements import Requirement, allows, requirements, version

CLASHING = ("peppi-py", "peppi-py-vladfi")
"""Packages that install one module, ``peppi_py``, over each other."""


def extras(asked: Asked) -> Iterator[Finding]:
    """Those of pyproject.toml."""
    offered = [each for each in requirements() if each.extra]
    yield judge_extras(offered, {each.name: version(each.name) for each in offered})


def judge_extras(offered: Sequence[Requirement], found: Mapping[str, str | None]) -> Finding:
    """None of them has to be there; one that is there in parts, or in a version that does not fit, will not work."""
    have, without, broken = [], [], []
    for name in sorted({each.extra for each in offered}):
        parts = [each for each in offered if each.extra == name]
        bad = [f"{each.name} {found[each.name] or 'is missing'}" for each in parts if not _fits(each, found)]
        if not bad:
            have.append(name)
        elif all(found[each.name] is None for each in parts):
            without.append(name)
        else:
            broken.append((name, bad))
    words = [f"installed: {', '.join(have)}"] if have else []
    words += [f"not installed: {', '.join(without)}"] if without else []
    if broken:
        said = [f"{name} will not work ({', '.join(bad)})" for name, bad in broken]
        names = ",".join(name for name, _ in broken)
        return Finding(
            "extras", WARNING, "; ".join([*said, *words]), f'make them whole:\npip install "exphil[{names}]"'
        )
    remedy = 'to install one of them:\npip install "exphil[NAME]"' if without else ""
    return Finding("extras", OK, "; ".join(words) or "none is offered", remedy)


def _fits(wanted: Requirement, found: Mapping[str, str | None]) -> bool:
    has = found[wanted.name]
    return has is not None and allows(wanted.allowed, has)


def peppi(asked: Asked) -> Iterator[Finding]:
    """Two packages that write over each other."""
    yield judge_peppi({name: has for name in CLASHING if (has := version(name)) is not None})


def judge_peppi(found: Mapping[str, str]) -> Finding:
    """Exphil needs neither of them, so this stops nothing here."""
    words = " and ".join(f"{name} {has}" for name, has in found.items())
    if len(found) < 2:
        return Finding("peppi", OK, f"{words} alone, no clash" if found else "not installed, and not needed")
    what = f"{words} install the module peppi_py over each other: which one is imported is chance"
    line = "pip uninstall -y peppi-py peppi-py-vladfi\npip install peppi-py-vladfi"
    return Finding("peppi", WARNING, what, f"exphil needs neither; keep one of them:\n{line}")
