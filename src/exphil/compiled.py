"""Compiled functions: the one door through which numba's compiler is asked.

What enters: a function that numba can compile, and numba's options. What leaves: the same function, compiled when it is
first called. The machine code is kept beside the source, in ``NUMBA_CACHE_DIR`` or in the user's cache folder; where
none of them can be written to (a container without a home), every process compiles anew and takes the seconds for it.

Kept code is fresh as long as the function's file and every file of this package that it imports, directly or through
others, hold the same text, and numba is the same. numba itself looks at the function's own file alone, and machine code
holds the functions and constants of other files too.

What can go wrong: numba's own errors for what it cannot compile, when the function is first called; and an OSError at
the same time where the disk became full after the function was made.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.extending import register_jitable

F = TypeVar("F", bound=Callable[..., Any])
PACKAGE = Path(__file__).parent


def compiled(**options: Any) -> Callable[[F], F]:
    """A decorator like ``numba.njit(cache=True, **options)``, for places without a cache and functions of many files.

    Args:
        options: Those of ``numba.njit`` but ``cache``.
    """

    def compile_function(function: F) -> F:
        made: F = numba.njit(**options)(function)
        if hasattr(made, "py_func"):  # not with NUMBA_DISABLE_JIT, which gives the function back
            _keep(made, function)
        return made

    return compile_function


def part(function: F) -> F:
    """A decorator for functions that only compiled ones call: compiled with each of them, uncompiled for all others.

    No machine code of its own is kept, and no way in from Python is compiled: a quarter of the time that compiling the
    simulator took.
    """
    made: F = register_jitable(no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    return made


def records(array: Any) -> Any:
    """A structured array as kernels take it: plain, since numba looks 5 us longer at one with attributes.

    Kernels that run uncompiled need the attributes; they get them.
    """
    return array.view(np.recarray if numba.config.DISABLE_JIT else np.ndarray)  # type: ignore[attr-defined]


def _keep(made: Any, function: Callable[..., Any]) -> None:
    """What ``cache=True`` does, and the digest in the place of numba's stamp, the function's own file's date."""
    try:
        kept = FunctionCache(function)  # type: ignore[no-untyped-call]
    except RuntimeError:  # no place to keep the code in
        return
    source = Path(function.__code__.co_filename)
    if source.is_file():  # else a cell of a notebook: numba's stamp is its text
        name, stamp = kept._impl.filename_base, digest(source)
        kept._cache_file = IndexDataCacheFile(kept.cache_path, name, stamp)  # type: ignore[no-untyped-call]
    made._cache = kept


@cache
def digest(source: Path) -> str:
    """Of the text of a file's ``sources``; the same files have the same one anywhere."""
    texts = sorted(hashlib.sha256(path.read_bytes()).digest() for path in sources(source))
    return hashlib.sha256(b"".join(texts)).hexdigest()


def sources(source: Path) -> set[Path]:
    """A file and all that it imports of this package, directly or through others."""
    found, waiting = {source}, [source]
    while waiting:
        new = set(_imported(waiting.pop())) - found
        found |= new
        waiting += new
    return found


@cache
def _imported(source: Path) -> tuple[Path, ...]:
    """The files of this package that a file imports at its top, where kernels can see what they hold."""
    return tuple(path for name in _names(source) for path in _places(name) if path.is_file())


def _names(source: Path) -> Iterator[str]:
    for node in ast.parse(source.read_bytes()).body:
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)  # a name may be a module


def _places(name: str) -> tuple[Path, ...]:
    first, *rest = name.split(".")
    if first != PACKAGE.name or not rest:
        return ()
    place = PACKAGE.joinpath(*rest)
    return place.with_suffix(".py"), place / "__init__.py"
