"""What the doctor says of a step, and all of it together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_toggl.core.operate.doctor.states import CHECKS, CheckStatus
from airflow_provider_toggl.core.operate.problems import BY_NAME
from airflow_provider_toggl.core.wording import plural

_WIDTH = max(map(len, CHECKS))


@dataclass(frozen=True)
class Finding:
    """One thing that was found out.

    :param step: of ``catalogue.STEPS``.
    :param what: what was seen, with its numbers; nothing secret.
    :param name: of the trouble in the catalogue, None where there is none.
    """

    step: str
    state: CheckStatus
    what: str
    name: str | None = None

    @property
    def meaning(self) -> str:
        """What it means, an empty text where nothing is wrong."""
        return BY_NAME[self.name].meaning if self.name else ""

    @property
    def cure(self) -> str:
        """What to do, an empty text where nothing is wrong."""
        return BY_NAME[self.name].cure if self.name else ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as small, plain values."""
        told = {"step": self.step, "state": self.state.value, "what": self.what, "trouble": self.name}
        return told | {"meaning": self.meaning or None, "cure": self.cure or None}


def trouble(name: str, what: str) -> Finding:
    """Return the finding of a trouble of the catalogue."""
    known = BY_NAME[name]
    return Finding(known.step, known.state, what, name)


def fine(step: str, what: str) -> Finding:
    """Return that a step is right."""
    return Finding(step, CheckStatus.OK, what)


def unknown(step: str, what: str) -> Finding:
    """Return that it could not be found out, and why."""
    return Finding(step, CheckStatus.UNKNOWN, what)


def skipped(step: str, why: str) -> Finding:
    """Return that a step was left out, and why."""
    return Finding(step, CheckStatus.SKIPPED, why)


@dataclass(frozen=True)
class Report:
    """All that was found.

    :param findings: in the order of the steps; each step has one at least.
    :param requests: how many were sent to Toggl.
    """

    findings: tuple[Finding, ...]
    requests: int

    @classmethod
    def of(cls, findings: Sequence[Finding], requests: int) -> Report:
        """Put findings into the order of the steps."""
        return cls(tuple(sorted(findings, key=lambda one: CHECKS.index(one.step))), requests)

    def count(self, state: CheckStatus) -> int:
        """Return how many findings have that state."""
        return sum(one.state is state for one in self.findings)

    @property
    def exit_code(self) -> int:
        """1 where there is a fault, else 0."""
        return 1 if self.count(CheckStatus.FAULT) else 0

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "ok": self.exit_code == 0,
            "requests": self.requests,
            "counts": {state.value: self.count(state) for state in CheckStatus},
            "findings": [one.as_dict() for one in self.findings],
        }

    def lines(self) -> Iterator[str]:
        """Yield it as text."""
        for one in self.findings:
            yield f"{one.state.value:<8} {one.step:<{_WIDTH}}  {one.what}"
            if one.name:
                yield f"{'':<9}{'':<{_WIDTH}}  Meaning: {one.meaning}"
                yield f"{'':<9}{'':<{_WIDTH}}  Cure: {one.cure}"
        counts = ", ".join(f"{self.count(state)} {state.value}" for state in CheckStatus if self.count(state))
        yield f"{counts}; {plural(self.requests, 'request')} sent to Toggl."
