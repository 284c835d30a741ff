"""Options: what exists, where values come from, which combinations make sense. Imports only errors and game."""
