"""Bytes on disk to columns: reading, listing and choosing Slippi replays. numpy and numba only."""
