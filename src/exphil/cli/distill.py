"""``exphil distill``: a policy that learns from a teacher, and in the end what was lost and what was gained.

It is ``exphil train`` that insists on ``--teacher``. The table at the end is the answer: nats per decision of teacher,
student and copying the controller, parameters, milliseconds of a decision.
"""

from __future__ import annotations

from exphil.cli import train
from exphil.cli.running.taught import compare
from exphil.config.layers import Settings
from exphil.errors import OptionError


def run(settings: Settings) -> int:
    """Train with a teacher, then compare.

    Raises:
        OptionError: no teacher was named.
    """
    from exphil.train.checkpoint import load_snapshot

    resume = settings.saving.resume
    before = load_snapshot(resume)["config"].get("teacher") if resume else None
    if settings.teacher.teacher is None and before is None:
        fix = "name a policy file, or a snapshot; exphil train learns without a teacher"
        raise OptionError("distill learns from a teacher, and none was named", "--teacher", fix)
    return train.run(Settings("train", settings.flat(), settings.sources, settings.notices), compare)
