"""Trackers in a process of their own, so that nothing they do reaches the run.

They open connections, start servers and threads, print, read variables when they are imported, and may hang. Here they
can do all that: the run puts its numbers in a queue and goes on. What the process says is read by a thread and kept as
``trouble`` or ``place``; nothing is raised. A process that does not answer is given up, at the end after ``FINISH_S``.
When the run is killed its pipe ends, and the process keeps what it has and ends too.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal

from exphil.errors import OutputError
from exphil.files import check_writable
from exphil.train.metrics.lines import curves

START_S = 60.0
"""A tracker that has not begun by then never will: without a network it takes up to ten."""
FINISH_S = 30.0
"""How long the end of a run waits for the last numbers to arrive."""
GOODBYE_S = 5.0
"""How long a tracker that is in trouble may take to end."""
BACKLOG = 10_000
"""Lines that may wait; a run writes one in a second or so."""
PROGRAM = Path(__file__).with_name("trackers.py")


class Tracker:
    """One tracker's process, seen from the run; see ``Logger``.

    Args:
        library: Whose: "wandb" or "trackio".
        project: What the runs that one wants to compare have in common.
        name: Of the run.
        folder: Where its files go; made when missing.
        about: What the run is: its options, nested as one likes.
        resumed: Whether the run goes on from an earlier one of the same name and folder.
    """

    def __init__(
        self,
        library: Literal["wandb", "trackio"],
        *,
        project: str,
        name: str,
        folder: Path,
        about: Mapping[str, Any],
        resumed: bool,
    ) -> None:
        self.trouble = self.place = ""
        self.project, self.name = project, name
        self._library = library
        self._closed = False
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._began = time.monotonic()
        self._process: subprocess.Popen[str] | None = None
        self._hearing = threading.Thread(target=self._hear, daemon=True)
        try:
            check_writable(folder / "writable", "")  # trackers go elsewhere by themselves when they cannot write
            words = {"project": project, "name": name, "about": about, "resumed": resumed}
            first = json.dumps({"library": library, "folder": str(folder.resolve()), **words}, default=str)
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
                start_new_session=True,  # a Ctrl-C is for the run
            )
            self._waiting.put(first)
            threading.Thread(target=self._tell, args=(self._process.stdin,), daemon=True).start()
            self._hearing.start()
        except OutputError as error:
            self._give_up(f"{folder} {error.what}")
        except Exception as error:
            self._give_up(f"could not be started ({error})")

    def log(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Hand the numbers over; never waits."""
        if self.trouble or self._closed:
            return
        if not self.place and time.monotonic() - self._began > START_S:
            self._give_up(f"did not start within {START_S:.0f} s")
        elif self._waiting.qsize() > BACKLOG:
            self._give_up("does not keep up")
        else:
            try:
                self._waiting.put(json.dumps({"step": step, "values": curves(kind, values)}))
            except Exception as error:
                self._give_up(f"cannot take a value ({error})")

    def close(self) -> None:
        """Let the process finish, for at most ``FINISH_S``; a second time does nothing."""
        if self._closed or self._process is None:
            return
        self._closed = True
        self._waiting.put(json.dumps({"close": True}))
        self._waiting.put(None)
        try:
            self._process.wait(FINISH_S)
        except subprocess.TimeoutExpired:
            kept = f"; what is missing there: {self.place}" if self.place else ""
            self._give_up(f"did not finish within {FINISH_S:.0f} s{kept}")
        if self._hearing.is_alive():
            self._hearing.join(1.0)

    def _tell(self, to: IO[str]) -> None:
        """Write what waits, line by line: a pipe that is full must not hold up the run."""
        with contextlib.suppress(OSError, ValueError):  # the process is gone, and whoever hears it says why
            while (line := self._waiting.get()) is not None:
                to.write(line + "\n")
                to.flush()
        with contextlib.suppress(OSError):
            to.close()

    def _hear(self) -> None:
        process = self._process
        if process is None or process.stdout is None:
            return
        with contextlib.suppress(OSError, ValueError), process.stdout:
            for line in process.stdout:
                said = json.loads(line)
                self.place = said.get("place", self.place)
                if "trouble" in said:
                    self.trouble = self.trouble or f"{self._library} stopped: {said['trouble']}"
                    self._waiting.put(None)  # the end of its input, upon which it ends
                    break
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(FINISH_S if self._closed and not self.trouble else GOODBYE_S)  # it keeps what it can
        if process.poll() != 0 or not self._closed:
            self._give_up("its process ended early")

    def _give_up(self, why: str) -> None:
        self.trouble = self.trouble or f"{self._library} stopped: {why}"
        self._waiting.put(None)
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                if hasattr(os, "killpg"):
                    os.killpg(self._process.pid, signal.SIGKILL)  # with the server it may have started
                else:
                    self._process.kill()
                self._process.wait(1.0)
