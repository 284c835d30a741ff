"""TensorBoard: an event file in a folder that ``tensorboard --logdir`` shows.

Written with TensorBoard's own record writer and messages, without torch's writer or TensorFlow. Nothing is raised:
what goes wrong is kept as ``trouble``.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exphil.train.metrics.lines import curves


class TensorBoard:
    """Scalars by update in one file a run, or a part of a run that was resumed; see ``Logger``."""

    def __init__(self, *, folder: Path, about: Mapping[str, Any]) -> None:
        self.trouble, self.place = "", f"tensorboard --logdir {shlex.quote(str(folder))}"
        self._writer: Any = None
        self._begun = False
        with self._safely():
            from tensorboard.compat.proto.event_pb2 import Event
            from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
            from tensorboard.compat.proto.tensor_pb2 import TensorProto
            from tensorboard.summary.writer.record_writer import RecordWriter

            self._event, self._summary = Event, Summary
            folder.mkdir(parents=True, exist_ok=True)
            # TensorBoard reads the files of a folder in the order of their names
            self._writer = RecordWriter((folder / f"events.out.tfevents.{time.time_ns()}").open("xb"))
            self._write(file_version="brain.Event:2")
            page = "\n".join("    " + line for line in json.dumps(about, indent=2, default=str).splitlines())
            text = TensorProto(dtype="DT_STRING", string_val=[page.encode()])
            text.tensor_shape.dim.add(size=1)
            shown = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
            value = Summary.Value(tag="about/text_summary", tensor=text, metadata=shown)
            self._write(step=0, summary=Summary(value=[value]))

    def log(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Write the numbers; a resumed run hides what an earlier file holds from its first update on."""
        if self.trouble or self._writer is None:
            return
        with self._safely():
            if not self._begun:
                from tensorboard.compat.proto.event_pb2 import SessionLog

                self._write(step=step, session_log=SessionLog(status=SessionLog.START))
                self._begun = True
            summary = self._summary()
            for name, number in curves(kind, values).items():
                summary.value.add(tag=name, simple_value=number)
            if summary.value:
                self._write(step=step, summary=summary)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with self._safely():
                writer.close()

    def _write(self, **parts: Any) -> None:
        self._writer.write(self._event(wall_time=time.time(), **parts).SerializeToString())
        self._writer.flush()

    @contextlib.contextmanager
    def _safely(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not self.trouble:
                what = error.strerror if isinstance(error, OSError) and error.strerror else error
                self.trouble = f"tensorboard stopped: {what or type(error).__name__}"
            writer, self._writer = self._writer, None
            if writer is not None:
                with contextlib.suppress(Exception):  # it would try to write the rest again
                    writer.close()
