"""Worlds that accept controllers and show frames. Never torch."""
