"""The command line: options to one call, and what is shown. Only ``terminal`` prints."""
