"""Numbers to batches: which frames, in which order, gathered and encoded."""
