"""Numbers of a run to whoever keeps them.

The JSON lines file is always written; it needs nothing and our reports read it. The others are asked for and belong
to foreign libraries: TensorBoard's files are written here, Weights & Biases and Trackio run in a process of their own
(``aside`` holds this end of it, ``trackers`` is that process). Only this folder imports these libraries.
"""

from exphil.train.metrics.aside import Tracker
from exphil.train.metrics.events import TensorBoard
from exphil.train.metrics.lines import JsonLines, Logger

__all__ = ["JsonLines", "Logger", "TensorBoard", "Tracker"]
