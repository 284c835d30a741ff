"""The policy that a run learns from beside the players: what ``--teacher`` names, and whether it fits the run.

Teacher and student may differ in everything but what they see, when they answer and what they press: the student takes
these over where nobody asked for others, and seed and split too, so that of the same files the same are held out. What
can go wrong: a file that cannot be read, something that was asked for and differs, and on resuming another teacher than
the run had. The teacher is read whenever it is needed; a run's files hold its path and a hash of its weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from exphil.assemble.actions import codec, delays
from exphil.assemble.games import table
from exphil.assemble.network import trained
from exphil.config.groups import OPTIONS, Actions, Delay, Delays, Features
from exphil.config.layers import Settings, jsonable
from exphil.config.option import options_by_name
from exphil.errors import OptionError, PolicyError
from exphil.features.action import NUM_BUTTONS, Codec
from exphil.features.players import Registry, known

if TYPE_CHECKING:
    import torch

    from exphil.train.checkpoint import PolicyFile
    from exphil.train.distill import Lesson

DIGEST = "teacher_digest"
"""What the page of a run calls the hash of its teacher's weights."""
SEEN = (*options_by_name((Features,)), "learn_player_styles", "player_mode")
SPLIT = ("seed", "val_split")
"""What decides which of the same files are held out: taken over, so that teacher and student hold out the same."""
TOGETHER = (tuple(options_by_name((Actions,))), tuple(options_by_name((Delay, Delays))))
"""Options that say one thing together: asking for one of them asks for all."""


def teacher(settings: Settings) -> PolicyFile | None:
    """What the file of ``--teacher`` says; None for a run that learns from players alone.

    Raises:
        PolicyError: it cannot be read.
    """
    path = settings.teacher.teacher
    if path is None:
        return None
    from exphil.train.checkpoint import load_policy

    try:
        return load_policy(path)
    except PolicyError as error:
        fix = error.fix or "--teacher names the policy file, or the snapshot, of the teacher"
        raise PolicyError(error.what, f"the teacher {path}", fix) from error


def digest(settings: Settings) -> str | None:
    """A hash of the teacher's weights; None without a teacher."""
    from exphil.train import distill

    found = teacher(settings)
    return None if found is None else distill.digest(found.weights)


def taught(settings: Settings, snapshot: Mapping[str, Any] | None) -> Settings:
    """The options of a run whose teacher fits it.

    A new run sees what its teacher sees, answers when it does and presses what it does, where nobody asked for others.

    Raises:
        ExphilError: as ``check``.
    """
    if snapshot is None and (found := teacher(settings)) is not None:
        settings = _following(settings, found)
    check(settings, snapshot)
    return settings


def _following(settings: Settings, found: PolicyFile) -> Settings:
    then = Settings.from_flat("train", found.config)
    free = [name for name in (*SEEN, *(SPLIT if then["val_split"] else ())) if not _asked(settings, name)]
    free += [name for group in TOGETHER if not any(_asked(settings, name) for name in group) for name in group]
    new = {name: then[name] for name in free if then[name] != settings[name]}
    return settings.changed(jsonable(new), f"of --teacher {settings.teacher.teacher}")


def _asked(settings: Settings, name: str) -> bool:
    return not settings.sources[name].startswith(("default", "implied", "environment"))


def check(settings: Settings, snapshot: Mapping[str, Any] | None, players: Registry | None = None) -> None:
    """Whether the teacher fits the run.

    Args:
        settings: Of the run.
        snapshot: What it goes on from.
        players: The numbers of its players, once they are known.

    Raises:
        ExphilError: the teacher cannot be read, is not the one that the run had, or differs from the run in what it
            sees, when it answers, what it presses, or how it numbers players.
    """
    _check_same(settings, snapshot)
    found = teacher(settings)
    if found is None:
        return
    where = str(settings.teacher.teacher)
    then, _ = trained(found, where)
    _check_seen(settings, then, where)
    _check_delays(settings, then, where)
    _check_pressed(codec(settings, snapshot), Codec.from_dict(found.actions), where)
    if players is not None and settings.players.learn_player_styles:
        _check_numbers(players, known(found.players, where), where)
    if then.backbone.backbone != "mlp" and not settings.model.temporal:
        what = f"a {then.backbone.backbone} that remembers, and --backbone mlp is shown single frames"
        raise OptionError(what, f"the teacher {where}", "--temporal shows both of them windows")


def _check_same(settings: Settings, snapshot: Mapping[str, Any] | None) -> None:
    """A run goes on with the teacher that it began with."""
    if snapshot is None:
        return
    before, path = snapshot["provenance"].get(DIGEST), settings.teacher.teacher
    if before == digest(settings):
        return
    if before is None:
        raise OptionError("the run began without a teacher", "--teacher", "drop it, or begin a new run with --init")
    fix = f"--teacher names the file that has the weights {before} now, or begin a new run with --init"
    raise PolicyError("its weights are not those that the run began with", f"the teacher {path}", fix)


def _check_seen(settings: Settings, then: Settings, where: str) -> None:
    alike = settings.players.learn_player_styles == then.players.learn_player_styles
    wrong = [name for name in SEEN if settings[name] != then[name]]
    if not wrong or (alike and table(settings).fingerprint == table(then).fingerprint):
        return
    _differs(settings, then, wrong, where, "see the same numbers")


def _check_delays(settings: Settings, then: Settings, where: str) -> None:
    (low, high), (least, most) = delays(settings), delays(then)
    if least <= low and high == most:
        return
    wrong = [name for name in TOGETHER[1] if settings[name] != then[name]]
    _differs(settings, then, wrong, where, "answer equally late")


def _differs(settings: Settings, then: Settings, wrong: list[str], where: str, what: str) -> NoReturn:
    lines = [
        f"{settings.sources[name]}: {OPTIONS[name].text(settings[name])} in this run, "
        f"{OPTIONS[name].text(then[name])} in that of the teacher"
        for name in wrong
    ]
    raise OptionError("\n".join(lines), f"the teacher {where}", f"both must {what}: drop what differs")


def _check_pressed(own: Codec, wanted: Codec, where: str) -> None:
    if own == wanted:
        return
    alike = ", at other positions" if _presses(own) == _presses(wanted) else ""
    what = f"presses {_presses(wanted)}; this run {_presses(own)}{alike}"
    fix = "drop --axis-buckets, --shoulder-buckets and --kmeans-centers: the student presses what its teacher does"
    raise OptionError(what, f"the teacher {where}", fix)


def _presses(codec: Codec) -> str:
    axes = sorted(set(codec.classes[NUM_BUTTONS:-1]))
    return f"{' to '.join(map(str, axes))} positions of a stick axis and {codec.classes[-1]} depths of the trigger"


def _check_numbers(players: Registry, wanted: Registry, where: str) -> None:
    for name, (number, _) in wanted.players.items():
        if (own := players.number(name)) != number:
            what = f"player {name} has number {number} there and {own} in this run"
            raise OptionError(what, f"the teacher {where}", "--player-registry names the registry of the teacher's run")


def lesson(settings: Settings, device: torch.device) -> Lesson | None:
    """What a run learns from its teacher; None without one, or where it has no say.

    Raises:
        ExphilError: as ``teacher``.
    """
    found, options = teacher(settings), settings.teacher
    if found is None or not options.teacher_weight:
        return None
    from exphil.train.distill import Lesson

    _, policy = trained(found, str(options.teacher))
    return Lesson(policy.to(device).eval().requires_grad_(False), options.teacher_temperature)
