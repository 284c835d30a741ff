"""Presets: named bundles of option values, between the environment and a file in strength.

A preset may name options of several commands; a command takes the ones it has. Values are literal and pass the same
converter and checks as any other source (tested). ``quick`` is the earlier system's smoke run, number for number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "quick": {"epochs": 1, "max_files": 5, "batch_size": 32, "hidden": (32, 32)},
}
