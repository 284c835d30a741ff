"""What exphil says that it needs: packages, the versions they may have, and the extra that asks for them.

What enters: the metadata of the installed exphil (PEP 508 lines as the build writes them:
``onnx<2,>=1.20; extra == 'export'``). What leaves: requirements. Nothing raises; without metadata there are none.
"""

from __future__ import annotations

import re
from importlib import metadata
from typing import NamedTuple

_LINE = re.compile(r"""\s*([\w.-]+)\s*(?:\[[^\]]*\])?\s*([^;]*?)\s*(?:;.*?\bextra\s*==\s*['"]([\w.-]+)['"].*|;.*)?$""")
_BOUND = re.compile(r"\s*(>=|<)\s*([\d.]+)\s*")


class Requirement(NamedTuple):
    """A package.

    Attributes:
        name: Of the package.
        allowed: Its versions, as pyproject.toml writes them: ``>=2.9,<2.14``.
        extra: Who asks for it; empty for exphil itself.
    """

    name: str
    allowed: str
    extra: str


def requirements(lines: list[str] | None = None) -> list[Requirement]:
    """All that is asked for.

    Args:
        lines: As the metadata has them; by default those of the exphil that is installed.
    """
    if lines is None:
        try:
            lines = metadata.requires("exphil") or []
        except metadata.PackageNotFoundError:
            lines = []
    found = [match.groups("") for line in lines if (match := _LINE.match(line))]
    return [
        Requirement(name, ",".join(sorted(allowed.split(","), reverse=True)), extra) for name, allowed, extra in found
    ]


def version(name: str) -> str | None:
    """Of an installed package; None when it is not."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def allows(allowed: str, version: str) -> bool:
    """Whether a version lies within bounds (``>=`` and ``<`` are looked at, other words are not).

    Args:
        allowed: As in ``Requirement``.
        version: ``2.13.0+cpu``; what follows the numbers counts for nothing.
    """
    numbers = _numbers(version)
    bounds = [match.groups() for part in allowed.split(",") if (match := _BOUND.fullmatch(part))]
    return all(numbers >= _numbers(edge) if sign == ">=" else numbers < _numbers(edge) for sign, edge in bounds)


def _numbers(version: str) -> tuple[int, ...]:
    """``2.13.0`` is (2, 13): zeros at the end say nothing."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, re.sub(r"(\.0)+$", "", found.group()).split("."))) if found else ()
