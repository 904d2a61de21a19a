"""What a check reports: its status, the facts, and for a known problem what it means and how to fix it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from airflow_provider_toggl.core.instants import rfc3339
from airflow_provider_toggl.core.wording import plural


class CheckStatus(Enum):
    """The result of a check, the worst first. A connection has the worst status of its checks."""

    FAULT = "fault"  # something does not work
    WARNING = "warning"  # it works, and somebody must act
    UNKNOWN = "unknown"  # it could not be determined; the text has the reason
    WAITING = "waiting"  # a task waits or a first load is in progress; nobody must act
    OK = "ok"
    UNUSED = "unused"  # the connection does not use this part
    SKIPPED = "skipped"  # the check was not requested, or something that it needs is missing

    @property
    def needs_attention(self) -> bool:
        """Whether somebody must act."""
        return self in (CheckStatus.FAULT, CheckStatus.WARNING)


@dataclass(frozen=True)
class Problem:
    """A known problem.

    :param name: an identifier for programs.
    :param meaning: its consequence for users.
    """

    status: CheckStatus
    name: str
    meaning: str
    fix: str


@dataclass(frozen=True)
class Finding:
    """One result of a check.

    :param text: the facts, with numbers and without secrets.
    :param label: a number or two words for a table cell; empty in the doctor's findings.
    :param problem: None where nothing is wrong, or the reason is not a known problem.
    :param at: the time that belongs to the label: when the quota resets, when a task resumes.
    """

    check: str
    status: CheckStatus
    text: str
    label: str = ""
    problem: Problem | None = None
    at: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        known = self.problem
        return {
            "check": self.check,
            "status": self.status.value,
            "text": self.text,
            "label": self.label or None,
            "at": rfc3339(self.at),
            "problem": known.name if known else None,
            "meaning": known.meaning if known else None,
            "fix": known.fix if known else None,
        }


def ok(check: str, text: str, label: str = "") -> Finding:
    """Return a finding that nothing is wrong."""
    return Finding(check, CheckStatus.OK, text, label)


def unknown(check: str, reason: str, label: str = "") -> Finding:
    """Return a finding that the check could not be made, with the reason."""
    return Finding(check, CheckStatus.UNKNOWN, reason, label)


def skipped(check: str, reason: str) -> Finding:
    """Return a finding that the check was left out, with the reason."""
    return Finding(check, CheckStatus.SKIPPED, reason)


def worst_status(findings: Iterable[Finding]) -> CheckStatus:
    """Return the worst status of some findings, of which there is at least one."""
    return min((one.status for one in findings), key=list(CheckStatus).index)


@dataclass(frozen=True)
class Report:
    """All findings of a run of the doctor.

    :param requests: requests sent to Toggl.
    """

    findings: Sequence[Finding]
    requests: int

    def count(self, status: CheckStatus) -> int:
        """Return the number of findings with a status."""
        return sum(one.status is status for one in self.findings)

    @property
    def exit_code(self) -> int:
        """1 if there is a fault, else 0."""
        return 1 if self.count(CheckStatus.FAULT) else 0

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "ok": self.exit_code == 0,
            "requests": self.requests,
            "counts": {status.value: self.count(status) for status in CheckStatus},
            "findings": [one.as_dict() for one in self.findings],
        }

    def lines(self) -> Iterator[str]:
        """Yield it as text for a terminal."""
        width = max(len(one.check) for one in self.findings)
        for one in self.findings:
            yield f"{one.status.value:<8} {one.check:<{width}}  {one.text}"
            if one.problem:
                yield f"{'':<9}{'':<{width}}  Meaning: {one.problem.meaning}"
                yield f"{'':<9}{'':<{width}}  Fix: {one.problem.fix}"
        counts = ", ".join(f"{self.count(status)} {status.value}" for status in CheckStatus if self.count(status))
        yield f"{counts}; {plural(self.requests, 'request')} sent to Toggl."


def to_json(value: Any) -> Any:
    """Return a value as plain JSON: dataclasses as objects, times as RFC 3339."""
    if isinstance(value, datetime):
        return rfc3339(value)
    if is_dataclass(value):
        return {name: to_json(one) for name, one in vars(value).items()}
    return [to_json(one) for one in value] if isinstance(value, tuple) else value
