"""``exphil export card POLICY``: a policy as a folder to share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exphil import assemble
from exphil.cli.shown.card_facts import about
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings
from exphil.train import card
from exphil.train.runfiles import stem


def run(settings: Settings, policy: Path) -> int:
    """Write the folder and name it."""
    terminal = Terminal.of(settings)
    folder = settings.written.output or policy.with_name(stem(policy) + "_card")
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
