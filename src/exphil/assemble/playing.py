"""Who plays: a policy of any file as a player, and what an agent must know of it.

Torch is imported only where a policy is not exported yet.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from exphil.assemble.actions import delays
from exphil.assemble.batches import carries_state, window
from exphil.assemble.games import table
from exphil.assemble.network import trained
from exphil.config.layers import Settings
from exphil.config.temperatures import temperatures
from exphil.errors import PolicyError, extra
from exphil.features.action import Codec
from exphil.features.players import Registry, known
from exphil.play.agent import LIKELIEST, Manner, Player
from exphil.play.fast import FastPlayer
from exphil.play.learned import Learned
from exphil.play.playable import Playable, as_learned, from_graph
from exphil.train.runfiles import GRAPH

if TYPE_CHECKING:
    import torch

    from exphil.models.policy import Policy
    from exphil.train.checkpoint import PolicyFile

EXPORT = ("onnx", "onnxscript", "onnxruntime")
"""What the extra export brings, all of it needed to play a policy file by the fast player."""


def _reference(policy: Policy, device: torch.device, threads: int) -> Player:
    from exphil.models.policy import TorchPlayer

    return TorchPlayer(policy, device)


def _fast(policy: Policy, device: torch.device, threads: int) -> Player:
    """On the processor, whatever it learned on; the graph it was exported as is not kept."""
    from exphil.models.export import export

    with TemporaryDirectory() as folder:
        path = Path(folder) / f"policy{GRAPH}"
        export(deepcopy(policy).cpu(), path, {})
        return FastPlayer(path, threads)


PLAYERS: dict[str, Callable[[Policy, torch.device, int], Player]] = {"reference": _reference, "fast": _fast}
"""Who decides: a policy, the device it is on and the threads of one decision to a player."""


def player_of(name: str, policy: Policy, learned: Learned, device: torch.device) -> Player:
    """A policy as it is played, on one thread: in windows, if it learned from windows."""
    return as_learned(PLAYERS[name](policy, device, 1), learned).player


def playable(path: Path, player: str, device: str, threads: int | None) -> Playable:
    """A policy from a snapshot, a policy file or an exported graph (the last without torch).

    Args:
        path: The file.
        player: A key of ``PLAYERS``; an exported graph is always played by the fast one.
        device: What the reference player runs on, as ``--device`` names it.
        threads: Of one decision; None is one: a decision is small.

    Raises:
        ExphilError: the file cannot be used, or a library is not installed.
    """
    if path.suffix == GRAPH:
        return from_graph(path, threads or 1)
    from exphil.train import checkpoint, runtime

    for module in EXPORT if player == "fast" else ():
        extra(module, "export", "the fast player")
    file = checkpoint.load_policy(path)
    settings, network = trained(file, str(path))
    runtime.set_threads(threads or 1)
    where = runtime.device(device)
    made = PLAYERS[player](network.to(where), where, threads or 1)
    return as_learned(made, known_of(settings, file, str(path)))


def learned(settings: Settings, codec: Codec, players: Registry, name: str = "policy") -> Learned:
    """What an agent must know of a policy.

    Args:
        settings: Of the run that trained it.
        codec: What the classes of its actions stand for.
        players: The players whose style it knows.
        name: What it is called.
    """
    backbone = settings.backbone.backbone or "mlp"
    frames = window(settings) if backbone != "mlp" and not carries_state(settings) else None
    return Learned(table(settings), codec, delays(settings), players, frames, name, backbone)


def known_of(settings: Settings, file: PolicyFile, where: str) -> Learned:
    """What an agent must know of the policy of a file.

    Raises:
        PolicyError: what it says of its players is damaged.
    """
    name = str(file.training.get("name", Path(where).stem))
    return learned(settings, Codec.from_dict(file.actions), known(file.players, where), name)


def learned_in(path: Path) -> Learned:
    """What an agent must know of the policy in a snapshot, a policy file or an exported graph.

    Raises:
        ExphilError: the file cannot be used.
    """
    if path.suffix == GRAPH:
        return from_graph(path).learned
    from exphil.train import checkpoint

    file = checkpoint.load_policy(path)
    return known_of(Settings.from_flat("train", file.config), file, str(path))


def exported(path: Path, out: Path, *, with_players: bool = True) -> None:
    """Write the graph of a snapshot's or policy file's policy, with all that playing needs.

    Args:
        path: The snapshot or policy file.
        out: The graph.
        with_players: Also the connect codes or tags of the players whose styles it knows.

    Raises:
        ExphilError: the policy cannot be used, the graph cannot be written, or a library is not installed.
    """
    from exphil.models.export import export
    from exphil.train import checkpoint

    if path.suffix == GRAPH:
        raise PolicyError("this is an exported graph already", str(path), "name the policy file it was made of")
    file = checkpoint.load_policy(path)
    settings, network = trained(file, str(path))
    found = known_of(settings, file, str(path))
    told = found if with_players else replace(found, players=Registry(0))
    export(network, out, {"learned": told.as_dict()})


def manner(settings: Settings) -> Manner:
    """How decisions follow from what is likely: the options of a command that plays."""
    options = settings.deciding
    heat = LIKELIEST.temperature if options.deterministic else temperatures(options.temperature)
    return Manner(heat, options.press_threshold, options.release_threshold, options.action_repeat)


def style(learned: Learned, name: str | None) -> int:
    """The number of the player that a policy is to play like; None is nobody in particular.

    Raises:
        OptionError: the policy does not know him.
    """
    return learned.players.named(name) if name else 0


def asked_delay(settings: Settings) -> int | None:
    """The delay that was asked for; None where none was."""
    return settings.delay.frame_delay if settings.given("frame_delay") else None
