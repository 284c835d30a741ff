"""Whose style is whose: the registry of a run, read, extended and written; and the styles that games are read with."""

from __future__ import annotations

import os
from typing import Any

from exphil.assemble.parent import parent
from exphil.assemble.teacher import teacher
from exphil.config.layers import Settings
from exphil.data.corpus import Corpus
from exphil.features.players import Everybody, Numbers, Registry, known
from exphil.files import check_writable

OTHER_REGISTRY = "choose another --player-registry"


def registry_before(settings: Settings, snapshot: dict[str, Any] | None) -> Registry:
    """The registry that a run begins with: its snapshot's, that of ``--init``, its teacher's, the file's, or none.

    Raises:
        DataError: the file is damaged, of another version or of another size.
    """
    options, size = settings.players, settings.features.num_player_names
    if not options.learn_player_styles:
        return Registry(0)
    if snapshot is not None:
        return known(snapshot.get("players", {}), str(settings.saving.resume))
    begins, path = parent(settings), options.player_registry
    if begins is not None:
        return known(begins.players, str(settings.saving.init))
    if (teaches := teacher(settings)) is not None:
        return known(teaches.players, str(settings.teacher.teacher))
    return Registry.load(path, size) if path is not None and os.path.lexists(path) else Registry(size)


def check_registry(settings: Settings, snapshot: dict[str, Any] | None) -> None:
    """Before the games are read: what is there can be used, and what will be there can be written.

    Raises:
        ExphilError: as ``registry_before``, or the folder cannot be written.
    """
    registry_before(settings, snapshot)
    path = settings.players.player_registry
    if settings.players.learn_player_styles and snapshot is None and path is not None:
        check_writable(path, OTHER_REGISTRY)


def enrolled(
    settings: Settings, corpora: tuple[Corpus, Corpus | None], snapshot: dict[str, Any] | None
) -> tuple[Registry, tuple[Corpus, Corpus | None]]:
    """The registry of a run, and its games with the styles it gives; without styles everybody is 0.

    A new run adds the players it learns from and writes the file; held-out games add nobody. A resumed run keeps the
    registry of its snapshot and touches no file.

    Raises:
        ExphilError: as ``check_registry``.
    """
    found, options = registry_before(settings, snapshot), settings.players
    if not options.learn_player_styles:
        return found, corpora
    train, held_out = corpora
    if snapshot is None:
        found = found.extended((entry.player for entry in train.entries), options.min_player_games)
        if options.player_registry is not None:
            found.save(options.player_registry)
    return found, (train.styled(found), held_out.styled(found) if held_out is not None else None)


def styles(players: Registry, name: str | None) -> Numbers:
    """Who gives games their styles: each seat's own by the registry, or one named player's for all.

    Raises:
        OptionError: the registry does not know the name.
    """
    return players if name is None else Everybody(players.named(name))
