"""``exphil play POLICY``: a policy in a world, until the world has enough of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from exphil import assemble
from exphil.cli.shown import told
from exphil.cli.shown.drawing import many
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.errors import OptionError
from exphil.play.playable import Playable


def run(settings: Settings, policy: Path) -> int:
    """Load the policy and play in ``--world``."""
    return WORLDS[str(settings.world.world)](settings, policy)


def _loaded(settings: Settings, policy: Path) -> Playable:
    """The policy, if it is what the options say.

    Raises:
        ExphilError: it cannot be used, or it is another one.
    """
    found, backbone = assemble.loaded(settings, policy), settings.backbone.backbone
    if backbone not in (None, found.learned.backbone):
        what = f"the network of the policy is {found.learned.backbone}, not {backbone}"
        raise OptionError(what, settings.sources["backbone"], "drop --backbone")
    return found


def _umi(settings: Settings, policy: Path) -> int:
    """In an arena of UMI, which says when it begins and when it ends."""
    from exphil.play import umi

    terminal, where = Terminal.of(settings), settings.arena.socket
    if where is None:
        fix = "--socket FILE, or the variable UMI_SOCKET, says where it listens; without one: exphil match POLICY cpu3"
        raise OptionError("which arena?", "--socket", fix)
    player, learned = _loaded(settings, policy)
    delay = umi.delay_of(learned, assemble.asked_delay(settings))
    seed = secrets.randbits(31) if settings.seed.seed is None else settings.seed.seed
    manner, style = assemble.manner(settings), assemble.style(learned, settings.playing.style)
    name, characters = umi.named(settings.name.name or learned.name), umi.names(settings.characters.characters)
    terminal.say(f"{name}: {learned.backbone}, answers {told.answers([delay])}, seed {seed}; connecting to {where}")
    played = umi.serve(
        lambda session: umi.Desk(player, learned, session, manner, style, seed),
        where,
        name=name,
        characters=characters,
        delay=delay,
    )
    ended = ", ".join(f"{count} {result}" for result, count in sorted(played.games.items())) or "none"
    sure = f"sure of them to {played.confidence:.0%} on average"
    terminal.say(f"sent home after {many(played.decisions, 'decision')}, {sure}; games that ended: {ended}")
    if settings.output.json:
        terminal.data({**played._asdict(), "seed": seed, "delay": delay})
    return 0


WORLDS: dict[str, Callable[[Settings, Path], int]] = {"umi": _umi}
