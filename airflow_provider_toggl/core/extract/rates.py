"""The objects that have rates, and what a rate of their histories lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_toggl.core.rates import FIELDS, Kind, Level, Subject


@dataclass(frozen=True)
class RatedObject:
    """The history of an object's rates or labor costs.

    :param kind: billable rates or labor costs; each has a history of its own.
    :param id: the object's id.
    :param subject: the ids that its rates concern time entries by.
    :param currency: ISO 4217 code of its amounts, which Toggl's rates lack; None where it is not known.
    :param changed_at: when its rate changed last (UTC).
    :param source: the stream whose table has this time.
    """

    kind: Kind
    level: Level
    id: int
    subject: Subject
    currency: str | None
    changed_at: datetime
    source: str

    @property
    def label(self) -> str:
        """The kind and the object."""
        return f"{self.kind} of {self.path.replace('/', ' ')}"

    @property
    def path(self) -> str:
        """The object's level and id."""
        return f"{self.level}/{self.id}"

    @property
    def params(self) -> dict[str, str]:
        """The kind."""
        return {"type": self.kind}

    @property
    def list_name(self) -> str:
        """The stream that lists it, and the kind."""
        return f"{self.source}/{self.kind}"

    @property
    def optional(self) -> str:
        """Labor costs: a token may see the rates without them."""
        return "The labor costs" if self.kind == "labor_costs" else ""

    @property
    def key(self) -> tuple[str, str, int]:
        """What a stored rate is of."""
        return (self.kind, self.level, self.id)

    def complete(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a rate with what it is set for, in the same form at each level, and its currency.

        :param row: the rate as Toggl sends it.
        """
        subject = {name: getattr(self.subject, name) for name in FIELDS[self.level]}
        return {
            **row,
            **dict.fromkeys(("user_id", "project_id", "task_id")),
            **subject,
            "workspace_id": self.subject.workspace_id,
            "type": self.kind,
            "level": self.level,
            "level_id": self.id,
            "currency": self.currency,
            "at": row.get("updated_at"),
        }
