"""``exphil`` as a call: what a process would print and leave with, in a tenth of the time that starting one takes."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
from pathlib import Path

from exphil.cli.main import main


def called(*words: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """One command line in a folder, without variables of exphil but those that are given."""
    argv, bytes_ = list(map(str, words)), (io.BytesIO(), io.BytesIO())
    out, err = (io.TextIOWrapper(each, encoding="utf-8", write_through=True) for each in bytes_)
    before = dict(os.environ)
    try:
        for name in [name for name in os.environ if name.startswith("EXPHIL_")]:
            del os.environ[name]
        os.environ.update(environment)
        with contextlib.chdir(cwd or Path.cwd()), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(argv)
    finally:
        os.environ.clear()
        os.environ.update(before)
    return subprocess.CompletedProcess(argv, code, *(each.getvalue().decode() for each in bytes_))
