"""``exphil push POLICY hf:USER/NAME`` and ``exphil pull hf:USER/NAME``: policies on the Hugging Face hub."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from exphil import assemble
from exphil.cli.card import policy_file
from exphil.cli.shown.card_facts import PLACES, about
from exphil.cli.shown.drawing import many, shown_bytes
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.errors import ExphilError, PolicyError
from exphil.play.playable import check_fingerprint
from exphil.train import card, hub


def push(settings: Settings, policy: Path, place: str) -> int:
    """Share a policy: with the page beside it if it lies in a folder of ``exphil export card``, else with a new one."""
    terminal, where = Terminal.of(settings), hub.Place.of(place, revisions=False)
    with ExitStack() as held:
        whole = held.enter_context(policy_file(policy))
        said, facts = about(policy, whole, settings.name.name, where.repository)
        folder = card.folder_of(policy)
        if folder is None:
            folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="exphil-")))
            card.save(folder, whole, said, facts)
        names, places = card.told_of(said, PLACES)
        if names:
            terminal.warn(
                f"the weights file names {many(names, 'player')} whose styles it knows; so does what is shared"
            )
        if places:
            terminal.warn(f"the weights file names places on this machine, so does what is shared: {', '.join(places)}")
        terminal.say(f"sharing {shown_bytes(whole.stat().st_size)} ...")
        shared = hub.push(folder, where, card.shown(facts.name), private=settings.sharing.private)
    if settings.output.json:
        terminal.data({"url": shared.url, "commit": shared.commit, "sha256": shared.sha256, "bytes": shared.size_bytes})
    else:
        terminal.lines([f"shared     {shared.url}", f"commit     {shared.commit}", f"sha256     {shared.sha256}"])
        terminal.say(f"next       exphil pull {where}", whole=True)
    return 0


def pull(settings: Settings, place: str) -> int:
    """Fetch a policy, check it, and say how to go on."""
    terminal, folder = Terminal.of(settings), settings.checkpointsdir.checkpoints_dir
    where = hub.Place.of(place, revisions=True)
    offer = hub.offered(where)
    _check_config(offer)
    path = hub.destination(where, folder)
    there = offer.is_file(path)
    if not there:
        terminal.say(f"fetching {shown_bytes(offer.size_bytes)} ...")
        hub.fetch(offer, folder, _check)
    if settings.output.json:
        told = {"place": str(where), "policy": path, "commit": offer.commit, "sha256": card.sha256(path)}
        terminal.data(told | {"there_already": there})
        return 0
    terminal.lines([f"policy     {path}{' (was there already)' if there else ''}"])
    terminal.say(
        f"next       exphil evaluate {path} --replays replays\nor         exphil play {path} --socket arena.sock",
        whole=True,
    )
    return 0


def _check_config(offer: hub.Offer) -> None:
    """Refuse what this exphil cannot play before it is fetched."""
    try:
        table = assemble.table(Settings.from_flat("train", offer.config["options"]))
    except ExphilError as error:
        what = f"this exphil does not know all of its options: {error.what}"
        raise PolicyError(what, str(offer.place), "install the newest exphil") from None
    check_fingerprint(table, offer.config["fingerprint"], str(offer.place))


def _check(path: Path) -> None:
    import torch

    from exphil.train.checkpoint import load_policy

    found = load_policy(path)
    with torch.device("meta"):  # its options may ask for more memory than there is; its weights cannot
        assemble.trained(found, str(path))
