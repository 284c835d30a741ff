"""Who plays a match: a policy of any file, or a script of the ladder, each with its character.

What can go wrong: words that name neither, a policy that cannot be used, options of policies where only scripts play.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

from exphil.assemble.playing import asked_delay, manner, playable, style
from exphil.config.groups import CheckpointsDir
from exphil.config.layers import Settings
from exphil.config.option import nearest
from exphil.envs import ladder
from exphil.envs.environment import Actor
from exphil.errors import OptionError
from exphil.evaluate.match import Contestant
from exphil.game.ids import Character
from exphil.game.ids import character as character_by_name
from exphil.play.agent import Agent, Manner
from exphil.play.playable import Playable
from exphil.train import described
from exphil.train.card import page_of
from exphil.train.runfiles import GRAPH

OF_POLICIES = (
    *("frame_delay", "style", "player", "device", "threads"),
    *("deterministic", "temperature", "press_threshold", "release_threshold", "action_repeat"),
)
"""Options that say how a policy decides."""


class Entered(NamedTuple):
    """A contestant.

    Attributes:
        contestant: As a match takes it.
        said: Who it is, for people.
        is_policy: Whether it learned what it does.
    """

    contestant: Contestant
    said: str
    is_policy: bool


def entered(settings: Settings, words: tuple[str, str]) -> tuple[Entered, Entered]:
    """Both contestants of a match; two of one name are called by their files, or the second by its place.

    Args:
        settings: Of the command match.
        words: What each is: the path of a policy or the name of a script.

    Raises:
        ExphilError: one of them is neither, cannot be used, or an option acts on nothing here.
    """
    given = next((name for name in OF_POLICIES if settings.given(name)), None)
    if given is not None and all(word in ladder.NAMES for word in words):
        raise OptionError("only scripts play, and it is for policies", settings.sources[given], "drop it")
    asked = settings.match.as_characters
    words = _meant(words[0]), _meant(words[1])
    names = [*(asked if len(asked) != 1 else asked * 2), None, None]
    loaded = {word: _playable(settings, word) for word in dict.fromkeys(words) if word not in ladder.NAMES}
    first, second = (_one(settings, word, name, loaded.get(word)) for word, name in zip(words, names, strict=False))
    if first.contestant.name == second.contestant.name and Path(words[0]).name != Path(words[1]).name:
        return _named(first, Path(words[0]).name), _named(second, Path(words[1]).name)
    if first.contestant.name == second.contestant.name:
        return first, _named(second, f"{second.contestant.name} (second)")
    return first, second


def _meant(word: str) -> str:
    """The name of a script in any spelling, unless a file is called so."""
    return word.lower() if word.lower() in ladder.NAMES and not Path(word).exists() else word


def _named(entered: Entered, name: str) -> Entered:
    return entered._replace(contestant=entered.contestant._replace(name=name))


def _one(settings: Settings, word: str, character: str | None, policy: Playable | None) -> Entered:
    if policy is None:
        number = int(character_by_name(character or "fox"))
        return Entered(Contestant(word, number, partial(_scripted, word)), ladder.said(word), False)
    learned = policy.learned
    number = int(character_by_name(character) if character else _most(Path(word)))
    late, as_whom = asked_delay(settings), style(learned, settings.playing.style)
    learned.delay(late)
    sit = partial(_seated, policy, manner(settings), late, as_whom)
    return Entered(Contestant(learned.name, number, sit), f"{learned.name} is a policy ({learned.backbone})", True)


def _scripted(name: str, seat: int, games: int, seed: int, delay: int) -> Actor:
    return ladder.script(name, seat, games, seed)


def _seated(
    policy: Playable, how: Manner, late: int | None, as_whom: int, seat: int, games: int, seed: int, delay: int
) -> Actor:
    return Agent(
        policy.player,
        policy.learned,
        seat,
        games,
        seed,
        manner=how,
        delay=late,
        environment_delay=delay,
        style=as_whom,
    )


def _playable(settings: Settings, word: str) -> Playable:
    path = Path(word).expanduser()
    if not path.exists():
        near = nearest(word, ladder.NAMES)
        file = CheckpointsDir().checkpoints_dir / f"{word}_policy.safetensors"
        near = str(file) if file.exists() else near
        fix = f"did you mean '{near}'?" if near else f"a policy's file, or one of {', '.join(ladder.NAMES)}"
        raise OptionError(f"'{word}' is no file and no script", fix=fix)
    return loaded(settings, path)


def loaded(settings: Settings, policy: Path) -> Playable:
    """The policy of a file as ``--player``, ``--device`` and ``--threads`` say.

    Raises:
        ExphilError: it cannot be used, or these options are not for it.
    """
    wanted, machine = settings.player.player[0], settings.machine
    if policy.suffix == GRAPH and settings.given("player") and wanted != "fast":
        what = "an exported policy is a graph, which the fast player plays"
        raise OptionError(what, settings.sources["player"], "--player fast, or name the policy file it was made of")
    if policy.suffix == GRAPH and machine.device not in ("auto", "cpu"):
        what = "an exported policy is played on the processor"
        raise OptionError(what, settings.sources["device"], "drop --device, or name the policy file")
    return playable(policy, wanted, machine.device, machine.threads)


def _most(policy: Path) -> Character:
    """The character that a policy was trained on most, if its file or the page beside it knows; else Fox."""
    if policy.suffix == GRAPH:
        return Character.FOX
    said = described.read(policy)
    names = [said.config.get("train_character"), *page_of(policy, said).get("character_distribution", {})]
    known = {character.name.lower(): character for character in Character}
    return next((known[name] for name in names if name in known), Character.FOX)
