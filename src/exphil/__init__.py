"""ExPhil: Super Smash Bros. Melee bots learned from Slippi replays."""

__version__ = "0.1.0"
