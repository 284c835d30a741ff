"""Learning from reward: worlds as other libraries want them."""
