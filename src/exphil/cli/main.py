"""The ``exphil`` command: one command line in, one exit code out.

A command's module is imported only when the command runs, so that help and errors need neither torch nor numpy. Exit
codes: what the command returns (0 when all is well), 2 for a wrong command line, 130 after Ctrl+C, 141 when the reader
of our output went away, 1 for everything else.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

from exphil.cli.parse import parse
from exphil.cli.terminal import Terminal
from exphil.config.layers import resolve
from exphil.errors import ExphilError, OptionError

MODULES = {  # command -> module:function(settings, **positionals) -> exit code
    "train": "exphil.cli.train:run",
    "evaluate": "exphil.cli.evaluate:run",
    "demo": "exphil.cli.demo:run",
    "benchmark": "exphil.cli.benchmark:run",
    "report": "exphil.cli.standings:run",
    "replays scan": "exphil.cli.replays:scan",
    "replays info": "exphil.cli.replays:info",
    "replays stats": "exphil.cli.stats:run",
    "replays parse": "exphil.cli.parse_ahead:run",
    "kmeans": "exphil.cli.kmeans:run",
    "setup": "exphil.cli.setup:run",
    "presets": "exphil.cli.presets:run",
    "find-lr": "exphil.cli.find_lr:run",
    "list": "exphil.cli.models:run",
    "info": "exphil.cli.info:run",
    "compare": "exphil.cli.compare:run",
    "distill": "exphil.cli.distill:run",
    "play": "exphil.cli.play:run",
    "match": "exphil.cli.match:run",
    "export onnx": "exphil.cli.export_onnx:run",
    "export umi": "exphil.cli.export_umi:run",
    "export card": "exphil.cli.card:run",
    "push": "exphil.cli.hub:push",
    "pull": "exphil.cli.hub:pull",
    "doctor": "exphil.cli.doctor:run",
    "registry list": "exphil.cli.registry:show_all",
    "registry show": "exphil.cli.registry:show",
    "registry tag": "exphil.cli.registry:tag",
    "registry untag": "exphil.cli.registry:untag",
    "registry best": "exphil.cli.registry:best",
    "registry delete": "exphil.cli.registry:delete",
    "registry lineage": "exphil.cli.registry:lineage",
    "cache list": "exphil.cli.cache_list:show",
    "cache verify": "exphil.cli.cache:verify",
    "cache drop": "exphil.cli.cache:drop",
    "cache clear": "exphil.cli.cache:clear",
}
STACKTRACE = "EXPHIL_FULL_STACKTRACE"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code; only SystemExit comes out as an exception.

    Args:
        argv: The words after "exphil"; those of this process by default.
    """
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        if sys.stdout is not None:  # it may be closed
            sys.stdout.flush()
        return code
    except ExphilError as error:
        return _failed(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _failed("interrupted", 130)
    except BrokenPipeError:
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains when it ends
        return 141
    except Exception as error:
        what = f"this is a defect of exphil, not of your command: {type(error).__name__}: {error}"
        return _failed(f"{what}\n  hint: set {STACKTRACE}=1 and run it again to see where it happens", 1)


_YES_OR_NO = ("true", "false", "yes", "no", "on", "off")


def _run(argv: list[str]) -> int:
    asked = parse(argv)
    if asked is None:
        return 0
    settings = resolve(asked.command, asked.flags, os.environ)
    if asked.strays:
        stray = asked.strays[0]
        lists = "options begin with --, and lists are written with commas: 512,512"
        fix = "what is yes or no is written --name or --no-name" if stray.lower() in _YES_OR_NO else lists
        raise OptionError(f"{asked.command} has no use for '{stray}'", fix=fix)
    first = os.environ.get("RANK", "0") == "0"  # of several processes that torchrun started, one talks
    for notice in settings.notices if first else ():
        Terminal.of(settings).say(f"note: {notice}")
    module, _, function = MODULES[asked.command].partition(":")
    return int(getattr(importlib.import_module(module), function)(settings, **asked.positionals))


def _failed(text: str, code: int) -> int:
    terminal = Terminal()
    if os.environ.get(STACKTRACE, "0") not in ("", "0"):
        terminal.say(traceback.format_exc())
    terminal.error(text)
    return code
