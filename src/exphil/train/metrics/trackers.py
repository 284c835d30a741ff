"""The process beside a run that feeds Weights & Biases or Trackio: a program, never imported; ``aside`` starts it.

In come JSON objects, one a line: first what the run is (library, project, name, folder, about, resumed), then numbers
(step, values), then ``close``. Out go ``place``, once the library has started, and ``trouble``, after which it ends.
Nothing else of what the library says is heard. When the input ends without ``close`` the run was killed.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sys
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ONLINE_S = 6.0
"""How long Weights & Biases may try to reach its server before the run is kept on disk."""


class Started(NamedTuple):
    """A library that takes numbers: ``place`` is a sentence, ``finish`` is told whether the run came to its end."""

    place: str
    log: Callable[[int, dict[str, float]], object]
    finish: Callable[[bool], object]


def start_wandb(project: str, name: str, folder: Path, about: dict[str, Any], resumed: bool) -> Started:
    """Weights & Biases: online with a key and a network, else on disk, unless WANDB_MODE says which."""
    os.environ.setdefault("WANDB_CACHE_DIR", str(folder / "cache"))
    import wandb

    settings = wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        save_code=False,
        init_timeout=ONLINE_S,
        x_save_requirements=False,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
    )
    words: dict[str, Any] = {"project": project, "name": name, "dir": str(folder), "config": about}
    words |= {"id": _same_id(folder, resumed), "resume": "allow" if resumed else None, "settings": settings}
    before = set(folder.glob("wandb/run-*"))
    why = ""
    try:
        run = wandb.init(**words)
    except Exception as error:
        if os.environ.get("WANDB_MODE"):
            raise
        wandb.teardown()  # it still holds the name of the run
        for rest in set(folder.glob("wandb/run-*")) - before:
            shutil.rmtree(rest, ignore_errors=True)
        why = f"; {_first_line(error)}"
        run = wandb.init(**words, mode="offline")
    run.define_metric("update")
    run.define_metric("*", step_metric="update")  # its own count of steps refuses to go back when a run is resumed
    place = str(run.url)
    if run.settings.mode == "disabled":
        place = "wandb is switched off by its mode"
    elif run.offline:
        place = f"wandb is offline{why}; upload with: wandb sync {shlex.quote(run.settings.sync_dir)}"
    return Started(
        place,
        lambda step, values: run.log({**values, "update": step}),
        lambda whole: run.finish(exit_code=0 if whole else 1),
    )


def _same_id(folder: Path, resumed: bool) -> str:
    """The number under which the run goes on in the same curves."""
    note = folder / "id"
    if not (resumed and note.is_file()):
        note.write_text(uuid.uuid4().hex[:8], encoding="ascii")
    return note.read_text(encoding="ascii").strip()


def start_trackio(project: str, name: str, folder: Path, about: dict[str, Any], resumed: bool) -> Started:
    """Trackio, on this machine alone: a database in the folder."""
    for variable in ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "TRACKIO_BUCKET_ID", "TRACKIO_DATASET_ID"):
        os.environ.pop(variable, None)
    os.environ |= {"TRACKIO_DIR": str(folder), "HF_HUB_OFFLINE": "1"}  # without, it asks for the name of the account
    import trackio

    run: Any = trackio.init(
        project=project,
        name=name,
        config=about,
        resume="allow" if resumed else "never",
        embed=False,
        auto_log_gpu=False,
        auto_log_cpu=False,
    )
    place = f"TRACKIO_DIR={shlex.quote(str(folder))} trackio show --project {shlex.quote(project)}"
    return Started(place, lambda step, values: run.log(values, step=step), lambda whole: run.finish())


LIBRARIES = {"wandb": start_wandb, "trackio": start_trackio}


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__


def main() -> None:
    """Start the library, hand it numbers until ``close`` or the end of input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the run
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def say(key: str, what: str) -> None:
        answers.write(json.dumps({key: what}) + "\n")

    def warned(message: Warning | str, category: type[Warning], *where: Any, **rest: Any) -> None:
        if category is UserWarning:  # how trackio tells that it could not write
            say("trouble", _first_line(message) if isinstance(message, Warning) else message)

    warnings.showwarning = warned
    whole = False
    with open(0, encoding="utf-8", closefd=False) as told:
        try:
            words = json.loads(told.readline())
            folder = Path(words["folder"])
            start = LIBRARIES[words["library"]]
            started = start(words["project"], words["name"], folder, words["about"], words["resumed"])
            say("place", started.place)
            for line in told:
                word = json.loads(line)
                if whole := "close" in word:
                    break
                started.log(word["step"], word["values"])
            started.finish(whole)
        except BaseException as error:
            say("trouble", _first_line(error))
            sys.exit(0)


if __name__ == "__main__":
    main()
