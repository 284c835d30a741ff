"""How well recorded players are predicted."""
