"""The steps of the doctor, how each can stand, and what a trouble is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class CheckStatus(Enum):
    """How a step stands."""

    OK = "ok"
    WARNING = "warning"  # it works, and somebody should look at it
    FAULT = "fault"  # something does not work; the exit code is 1
    UNKNOWN = "unknown"  # it could not be found out
    SKIPPED = "skipped"  # what it needs is not there, or it is not asked for


CHECKS = (
    "versions",
    "connection",
    "token",
    "plan",
    "quota",
    "rights",
    "clock",
    "store",
    "subscription",
    "callback",
    "triggerer",
    "warehouse",
)
"""In the order of the way that an event and a row take."""


@dataclass(frozen=True)
class Problem:
    """One thing that can be wrong.

    :param name: a word for programs.
    :param meaning: what it means for who uses the provider.
    :param cure: what to do.
    """

    step: str
    name: str
    state: CheckStatus
    meaning: str
    cure: str
