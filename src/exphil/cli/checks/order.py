"""What ``exphil doctor`` looks at, in its order; an error within a check is a finding of that check."""

from __future__ import annotations

from collections.abc import Iterator

from exphil.cli.checks import computing, games, installed, optional, policies, room
from exphil.cli.checks.finding import PROBLEM, Asked, Check, Finding
from exphil.errors import ExphilError

CHECKS: tuple[tuple[str, Check], ...] = (
    ("Python", installed.python),
    ("exphil", installed.packages),
    ("torch", computing.computing),
    ("memory", room.memory),
    ("checkpoints", room.checkpoints),
    ("cache", room.cache),
    ("compiled code", room.compiled_code),
    ("extras", optional.extras),
    ("peppi", optional.peppi),
    ("replays", games.replays),
    ("policy", policies.policy),
)
BROKEN = "install what is named there again: pip install --force-reinstall NAME"
DEFECT = "a defect of exphil or of a package it needs: please report it with this line"


def look(asked: Asked, checks: tuple[tuple[str, Check], ...] = CHECKS) -> Iterator[Finding]:
    """Every finding as it comes; an error within a check is a problem of that check, and the others go on.

    Args:
        asked: What to look at.
        checks: Names and checks, in order.
    """
    for name, check in checks:
        try:
            yield from check(asked)
        except ExphilError as error:
            yield Finding(name, PROBLEM, f"{error.where}: {error.what}" if error.where else error.what, error.fix)
        except ImportError as error:
            yield Finding(name, PROBLEM, f"a package that it needs cannot be imported: {error}", BROKEN)
        except Exception as error:  # one check that fails must not hide the others
            yield Finding(name, PROBLEM, f"{type(error).__name__}: {error}", DEFECT)
