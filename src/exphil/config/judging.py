"""What a rule over several options is, and what it can say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from exphil.config.layers import Settings


@dataclass(frozen=True)
class Problem:
    """Something about a combination of options that the user should know."""

    severity: Literal["error", "notice"]
    text: str
    fix: str

    @property
    def notice(self) -> str:
        """What the user is told when this is no error."""
        return "" if self.severity == "error" else f"{self.text}; {self.fix}"


@dataclass(frozen=True)
class Derived:
    """Values that follow from others; ``because`` is their source, ``notice`` is told to the user."""

    values: Mapping[str, Any]
    because: str
    notice: str = ""


@dataclass(frozen=True)
class Rule:
    """A judgement, and the options that a command must have for it to apply."""

    needs: tuple[str, ...]
    judge: Callable[[Settings], Derived | Problem | None]


def typed(settings: Settings, name: str) -> bool:
    """Whether a person wrote this option into the command line or a file."""
    return settings.sources[name].startswith(("flag", "file"))
