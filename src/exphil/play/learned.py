"""What an agent must know of a policy besides how it decides: what it sees, presses, how late, as whom. No torch.

It travels as plain values in an exported policy, so that one file is all that playing needs. What can go wrong:
PolicyError for words that say something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from exphil.errors import ExphilError, OptionError, PolicyError
from exphil.features.action import Codec
from exphil.features.observation import Table
from exphil.features.players import Registry

_WIDEST = 4095  # frames of a window, as --window-size has it


@dataclass(frozen=True)
class Learned:
    """A policy without its weights.

    Attributes:
        table: The layout of what it sees.
        codec: What the classes of its actions stand for.
        delays: The least and the most frames of delay that it learned to answer with.
        players: The players whose style it knows.
        window: Frames of the windows it learned from, each begun with a fresh state; None carries a state on.
        name: What it is called.
        backbone: Its kind, for people.
    """

    table: Table
    codec: Codec
    delays: tuple[int, int]
    players: Registry
    window: int | None = None
    name: str = "policy"
    backbone: str = "mlp"

    def delay(self, wanted: int | None, environment_delay: int = 0) -> int:
        """The frames of delay that it answers with.

        Args:
            wanted: What was asked for; None is the least that it learned and the world allows.
            environment_delay: What the world itself adds.

        Raises:
            OptionError: it did not learn this delay.
        """
        low, high = self.delays
        return delay_among(self.delays, max(low, min(environment_delay, high)) if wanted is None else wanted)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "table": asdict(self.table),
            "actions": self.codec.as_dict(),
            "delays": list(self.delays),
            "players": self.players.as_dict(),
            "window": self.window,
            "name": self.name,
            "backbone": self.backbone,
        }

    @staticmethod
    def from_dict(words: Mapping[str, Any], where: str) -> Learned:
        """What ``as_dict`` wrote.

        Raises:
            PolicyError: it is something else.
        """
        try:
            low, high = map(int, words["delays"])
            table, window = Table(**words["table"]), words["window"]
            if not 0 <= low <= high <= table.max_delay or not _is_window(window):
                raise ValueError("delays or a window that cannot be")
            return Learned(
                table,
                Codec.from_dict(words["actions"]),
                (low, high),
                Registry.from_dict(words["players"], where),
                window,
                str(words["name"]),
                str(words["backbone"]),
            )
        except (ExphilError, LookupError, TypeError, ValueError) as error:
            what = "does not say what an agent must know of it, or says it in another way"
            raise PolicyError(what, where, "export the policy anew with this exphil") from error


def _is_window(window: Any) -> bool:
    return window is None or (isinstance(window, int) and not isinstance(window, bool) and 1 <= window <= _WIDEST)


def delay_among(delays: tuple[int, int], wanted: int) -> int:
    """A delay that a policy is asked for.

    Args:
        delays: The least and the most that it learned.
        wanted: Frames of delay.

    Raises:
        OptionError: it did not learn this delay.
    """
    low, high = delays
    if not low <= wanted <= high:
        learned = f"{low} to {high}" if low < high else f"{low}"
        what = f"the policy learned to answer {learned} frames late; {wanted} was asked for"
        fix = f"--frame-delay {learned}, or a policy that was trained with --frame-delay {wanted}"
        raise OptionError(what, "--frame-delay", fix)
    return wanted
