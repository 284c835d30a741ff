"""A run as its user sees it: what is said before, while and after it works."""
