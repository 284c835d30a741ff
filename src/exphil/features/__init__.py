"""A Game to numbers and back: one table for what the model sees, one codec for what it does. Never imports torch."""
