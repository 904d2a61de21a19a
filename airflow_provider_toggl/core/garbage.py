"""Garbage collections kept out of the decoding of a page, which makes thousands of lists and leaves none."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_garbage_collection() -> Iterator[None]:
    """Put off the collections that a burst of short-lived objects would start: a tenth of the time of a landing.

    Of several threads within such a block at once, the first to leave lets collections begin again for all, which
    costs time and nothing else.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
