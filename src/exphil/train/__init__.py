"""Batches to weights: loss, optimiser, loop, files."""
