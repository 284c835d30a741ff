"""``python -m exphil`` is the ``exphil`` command (torchrun needs a module)."""

from exphil.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
