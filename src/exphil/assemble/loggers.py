"""Options to loggers: the record of the run, and whoever else is to hear of its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from exphil.config.layers import Settings
from exphil.errors import extra
from exphil.train.metrics import JsonLines, Logger, TensorBoard, Tracker

if TYPE_CHECKING:
    from exphil.train.runfiles import RunFiles

Builder = Callable[[Settings, "RunFiles", Mapping[str, Any], bool], Logger]


def _tensorboard(settings: Settings, files: RunFiles, about: Mapping[str, Any], resumed: bool) -> Logger:
    return TensorBoard(folder=files.beside("_tensorboard"), about=about)


def _tracker(library: Literal["wandb", "trackio"]) -> Builder:
    def build(settings: Settings, files: RunFiles, about: Mapping[str, Any], resumed: bool) -> Logger:
        monitoring = settings.monitoring
        return Tracker(
            library,
            project=monitoring.wandb_project,
            name=monitoring.wandb_name or files.snapshot.stem,
            folder=files.beside(f"_{library}"),
            about=about,
            resumed=resumed,
        )

    return build


LOGGERS: dict[str, Builder] = {
    "wandb": _tracker("wandb"),
    "tensorboard": _tensorboard,
    "trackio": _tracker("trackio"),
}
"""By option, library and extra, which all have one name."""


def check_loggers(settings: Settings) -> None:
    """Refuse to start without a library that was asked for; it is not loaded yet.

    Raises:
        ExphilError: one is not installed.
    """
    for name in _wanted(settings):
        if find_spec(name) is None:
            extra(name, name, f"--{name}")


def loggers(settings: Settings, files: RunFiles, about: Mapping[str, Any], resumed: bool) -> list[Logger]:
    """The record of the run first, then every logger that was switched on; these never stop a run.

    Args:
        settings: Of the command.
        files: Of the run; the loggers' folders stand beside them.
        about: What the run is, as the loggers show it: plain values, nested as one likes.
        resumed: Whether the run goes on from an earlier one.

    Raises:
        OutputError: the record cannot be written.
    """
    record: Logger = JsonLines(files.metrics)
    return [record, *(LOGGERS[name](settings, files, about, resumed) for name in _wanted(settings))]


def _wanted(settings: Settings) -> list[str]:
    monitoring = settings.monitoring
    switched = {"wandb": monitoring.wandb, "tensorboard": monitoring.tensorboard, "trackio": monitoring.trackio}
    return [name for name in LOGGERS if switched[name]]
