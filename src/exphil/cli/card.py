"""``exphil export card POLICY``: a policy as a folder to share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exphil import assemble
from exphil.cli import info, network_page
from exphil.cli.info_page import option_text
from exphil.cli.terminal import Terminal
from exphil.config.groups import OPTIONS
from exphil.config.layers import Settings, jsonable
from exphil.train import card
from exphil.train.described import Described, read
from exphil.train.runfiles import AVERAGE, POLICY

PLACES = [name for name, option in OPTIONS.items() if option.kind is Path]
"""Options that hold paths."""
_ASIDE = {"name", "seed", "epochs", "quiet", "verbose", "dry_run"}  # told elsewhere, or of no use to others


def run(settings: Settings, policy: Path) -> int:
    """Write the folder and name it."""
    terminal = Terminal.of(settings)
    folder = settings.written.output or policy.with_name(_stem(policy) + "_card")
    with policy_file(policy) as whole:
        said, facts = about(policy, whole, settings.name.name)
        files = card.save(folder, whole, said, facts)
    if settings.output.json:
        terminal.data({"folder": folder, "files": files, "sha256": card.sha256(folder / card.MODEL)})
    else:
        terminal.lines([f"card       {folder}"])
        terminal.say(f"next       read {folder / card.README}, add a license, then")
        terminal.say(f"           exphil push {folder / card.MODEL} hf:USER/NAME", whole=True)
    return 0


def _stem(policy: Path) -> str:
    for ending in (AVERAGE, POLICY):
        if policy.name.endswith(ending) and policy.name != ending:
            return policy.name.removesuffix(POLICY)
    return policy.stem


@contextmanager
def policy_file(policy: Path) -> Iterator[Path]:
    """A whole policy file with the weights of a policy file (itself) or a snapshot (for as long as it is needed).

    Raises:
        PolicyError: missing, damaged, or not to be played by this exphil.
    """
    from exphil.train.checkpoint import load_policy, save_policy

    found = load_policy(policy)
    assemble.trained(found, str(policy))
    if policy.suffix != ".pt":
        yield policy
        return
    with tempfile.TemporaryDirectory(prefix="exphil-") as scratch:
        save_policy(Path(scratch) / card.MODEL, found)
        yield Path(scratch) / card.MODEL


def about(policy: Path, whole: Path, name: str | None, place: str = "") -> tuple[Described, card.Facts]:
    """What a policy file says, and what its card tells besides.

    Args:
        policy: What was asked for; the page beside it is read.
        whole: Its policy file.
        name: Of the policy; by default what it was trained as.
        place: ``USER/NAME`` where it is going to be shared.
    """
    said = read(whole)
    settings = Settings.from_flat("train", said.config)
    layout, delays, network = assemble.table(settings), assemble.delays(settings), info.network(said)
    kept = [each for each in said.config if _plain(each)]
    rows = [(row["option"], row["value"], row["default"]) for row in info.changed(said.config)]
    rows = [row for row in rows if (each := row[0][2:].replace("-", "_")) in kept and each not in _ASIDE]
    told = {each: str(network[each]) for each in ("sees", "presses", "answers")}
    return said, card.Facts(
        name=name or str(said.training.get("name") or _stem(policy)),
        options=jsonable({each: settings[each] for each in kept}),
        changed=[(flag, option_text(flag, value), option_text(flag, default)) for flag, value, default in rows],
        network=network_page.summary(network),
        widths=(layout.floats, layout.ids),
        delays=(min(delays), max(delays)),
        losses=info.losses(said),
        page=card.page_of(policy, said),
        place=place,
        **told,
    )


def _plain(name: str) -> bool:
    """Whether an option holds no text that a person made up, and no path."""
    option = OPTIONS[name]
    return option.kind in (bool, int, float) or bool(option.choices) or option.parse is not None
