"""Operators that find or create projects, clients, tags and tasks by name.

They are safe to retry, because Toggl refuses a second object with the same name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from airflow_provider_toggl.core.arguments import Parser, parse_id, parse_json_object, parse_text, required
from airflow_provider_toggl.core.client.resources.catalog import CatalogClient, CatalogItemSpec, CatalogKind
from airflow_provider_toggl.operators.write_operator import TogglWriteBase


class _EnsureOperator(TogglWriteBase):
    """Finds the object with a name, or creates it.

    This usually takes one request if it exists and two otherwise, and more if the list is long or Toggl refuses the
    name as taken. An existing object is not changed. The result shows whether it is archived.

    :param name: its name. Case matters, unless Toggl refuses the name as taken. Spaces around it do not. (templated)
    :param fields: further fields of Toggl's API to create it with. They are not compared with an existing object.
        (templated)
    """

    template_fields: Sequence[str] = (*TogglWriteBase.template_fields, "name", "fields")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **TogglWriteBase.argument_parsers,
        "name": required(parse_text),
        "fields": parse_json_object,
    }
    #: The kind of object.
    kind: CatalogKind
    #: Name of the parameter with the parent's ID.
    parent: ClassVar[str | None] = None

    def __init__(self, *, name: str, fields: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name: Any = name
        self.fields: Any = fields
        self.check_arguments()

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Find or create the object; return ``action`` (``found`` or ``created``) and its fields."""
        parent_id = None if self.parent is None else getattr(self, self.parent)
        spec = CatalogItemSpec(self.kind, self.name, parent_id, self.fields)
        catalog = CatalogClient(*self.open_workspace())
        result = catalog.ensure(spec)
        item = result.value
        action = "created" if result.created else "found"
        self.log.info("%s %d (%r): %s.", self.kind.title(), item.entity_id, item.name, action)
        if not item.active:
            self.log.warning("%s %r is archived or done, and stays so.", self.kind.title(), item.name)
        return {"action": action, **item.as_dict(), "requests": catalog.session.spent}


class TogglEnsureProjectOperator(_EnsureOperator):
    """Find a project by its name, or create it, active unless ``fields`` has another value.

    :param client_id: its client. Without one, a project of any client is found, active ones first, then the lowest ID;
        a new project has no client. (templated)
    """

    template_fields: Sequence[str] = (*_EnsureOperator.template_fields, "client_id")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {**_EnsureOperator.argument_parsers, "client_id": parse_id}
    kind: CatalogKind = "project"
    parent = "client_id"

    def __init__(self, *, client_id: int | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.client_id: Any = client_id
        self.check_arguments()


class TogglEnsureClientOperator(_EnsureOperator):
    """Find a client by its name, or create it."""

    kind: CatalogKind = "client"


class TogglEnsureTagOperator(_EnsureOperator):
    """Find a tag by its name, or create it."""

    kind: CatalogKind = "tag"


class TogglEnsureTaskOperator(_EnsureOperator):
    """Find a task of a project by its name, or create it. The workspace's plan must have tasks.

    :param project_id: the project. (templated)
    """

    template_fields: Sequence[str] = (*_EnsureOperator.template_fields, "project_id")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **_EnsureOperator.argument_parsers,
        "project_id": required(parse_id),
    }
    kind: CatalogKind = "task"
    parent = "project_id"

    def __init__(self, *, project_id: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.project_id: Any = project_id
        self.check_arguments()
