"""Projects, clients, tags and tasks from a DAG: found by name, or else created, safe to retry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from airflow_provider_toggl.core.arguments import Parser, parse_id, parse_json_object, parse_text, required
from airflow_provider_toggl.core.client.resources.catalog import CatalogClient, CatalogItemSpec, CatalogKind
from airflow_provider_toggl.operators.write_operator import TogglWriteOperator


class _EnsureOperator(TogglWriteOperator):
    """Sees to it that one of that name is there.

    One request where it is there, two where it is not. What is found is left as it is, archived too; the result says
    so.

    :param name: spaces around it do not count, its case does. (templated)
    :param fields: further fields of Toggl's API to create it with; not compared with those of one that is found.
        (templated)
    """

    template_fields: Sequence[str] = (*TogglWriteOperator.template_fields, "name", "fields")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **TogglWriteOperator.argument_parsers,
        "name": required(parse_text),
        "fields": parse_json_object,
    }
    #: What it is of.
    kind: CatalogKind

    def __init__(self, *, name: str, fields: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name: Any = name
        self.fields: Any = fields
        self.check_arguments()

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Find or create it; return ``action`` (``found`` or ``created``) and what it is."""
        wanted = CatalogItemSpec(self.kind, self.name, self._parent_id(), self.fields)
        catalog = CatalogClient(*self.open_workspace())
        done = catalog.ensure(wanted)
        action = "created" if done.made else "found"
        self.log.info("%s %d (%r): %s.", self.kind.title(), done.thing.entity_id, done.thing.name, action)
        if not done.thing.active:
            self.log.warning("%s %r is archived or done; it is left so.", self.kind.title(), done.thing.name)
        return {"action": action, **done.thing.as_dict(), "requests": catalog.session.spent}

    def _parent_id(self) -> int | None:
        return None


class TogglEnsureProjectOperator(_EnsureOperator):
    """Find a project by its name, or create it, active.

    :param client_id: its client. Without one, a project of that name is taken whichever client it has, and a new one
        has none. (templated)
    """

    template_fields: Sequence[str] = (*_EnsureOperator.template_fields, "client_id")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {**_EnsureOperator.argument_parsers, "client_id": parse_id}
    kind: CatalogKind = "project"

    def __init__(self, *, client_id: int | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.client_id: Any = client_id
        self.check_arguments()

    def _parent_id(self) -> int | None:
        number: int | None = self.client_id
        return number


class TogglEnsureClientOperator(_EnsureOperator):
    """Find a client by its name, or create it."""

    kind: CatalogKind = "client"


class TogglEnsureTagOperator(_EnsureOperator):
    """Find a tag by its name, or create it."""

    kind: CatalogKind = "tag"


class TogglEnsureTaskOperator(_EnsureOperator):
    """Find a task of a project by its name, or create it; on plans that have tasks.

    :param project_id: the project. (templated)
    """

    template_fields: Sequence[str] = (*_EnsureOperator.template_fields, "project_id")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **_EnsureOperator.argument_parsers,
        "project_id": required(parse_id),
    }
    kind: CatalogKind = "task"

    def __init__(self, *, project_id: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.project_id: Any = project_id
        self.check_arguments()

    def _parent_id(self) -> int | None:
        number: int | None = self.project_id
        return number
