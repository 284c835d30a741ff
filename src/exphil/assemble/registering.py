"""A finished run to its entry in the registry of its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exphil.config.layers import Settings

if TYPE_CHECKING:
    from exphil.assemble.training import Job


def register(settings: Settings, job: Job) -> str:
    """Enter a run, or bring its entry up to date; gives what went wrong with that, which stops nothing."""
    from exphil.train.registry import register

    run, saving, last = job.run, settings.saving, job.run.history[-1] if job.run.history else {}
    held_out = any("validation" in line for line in run.history)
    metrics = {
        "final_training_loss": last.get("train"),
        "final_validation_loss": last.get("validation"),
        "best_validation_loss": run.best if held_out else None,
        "epochs_done": run.epoch,
        "updates": run.updates,
        "total_time_seconds": round(run.seconds, 1),
    }
    return register(
        job.files.snapshot.parent,
        name=str(settings.name.name),
        snapshot=job.files.snapshot,
        created=job.about.provenance["timestamp"],
        config=job.about.config,
        metrics=metrics,
        games=job.about.games,
        actions=job.about.actions,
        parent=saving.resume or saving.init,
    )
