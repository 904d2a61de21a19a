"""A limit of time for each look: what hangs must not hang the doctor."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class CheckTimeout(Exception):
    """The work did not end in time; it may still go on in its thread, which dies with the process."""


def within(seconds: float, work: Callable[[], T]) -> T:
    """Return what the work returns, or raise what it raises, if it ends in time.

    :raises TookTooLong: it did not.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is waited for
            errors.append(error)

    # A daemon: the end of the process does not wait for it.
    thread = threading.Thread(target=run, name="toggl-doctor", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise CheckTimeout(f"It did not end within {seconds:g} s.")
    return results[0]
