"""Compiled functions: the one door through which numba's compiler is asked.

What enters: a function that numba can compile, and numba's options. What leaves: the same function, compiled when it is
first called. The machine code is kept beside the source, in ``NUMBA_CACHE_DIR`` or in the user's cache folder; where
none of them can be written to (a container without a home), every process compiles anew and takes the seconds for it.

What can go wrong: numba's own errors for what it cannot compile, when the function is first called; and an OSError at
the same time where the disk became full after the function was made.

The options stand at each function: numba takes kept code for fresh as long as the file of the function is the same, so
an option that stood here would outlive its change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(**options: Any) -> Callable[[F], F]:
    """A decorator like ``numba.njit(cache=True, **options)``, for places without a cache too.

    Args:
        options: Those of ``numba.njit`` but ``cache``.
    """

    def compile_function(function: F) -> F:
        try:
            kept: F = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # all that raises it before the first call: no place to keep the code in
            fleeting: F = numba.njit(**options)(function)
            return fleeting
        return kept

    return compile_function
