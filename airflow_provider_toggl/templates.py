"""Parsing of operator arguments: constants are checked when a DAG is parsed, templates when a task runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from airflow_provider_toggl.core.arguments import Parser, build_argument_error, is_empty
from airflow_provider_toggl.core.errors import ConfigurationError

_JINJA_MARKS = ("{{", "{%", "{#")


def is_unresolved(value: Any) -> bool:
    """Return whether Airflow replaces a value, or a part of it, before a task runs.

    As in Airflow's ``Templater.render_template``, these are Jinja templates and references such as XComArg and
    ``dag.param``, also within lists, tuples, sets and the values of dictionaries.
    """
    if isinstance(value, str):
        return any(mark in value for mark in _JINJA_MARKS)
    if isinstance(value, list | tuple | set):
        return any(map(is_unresolved, value))
    if isinstance(value, dict):
        return any(map(is_unresolved, value.values()))
    return has_reference(value)


def has_reference(value: Any) -> bool:
    """Return whether a value is or contains a reference such as XComArg. Jinja text is not a reference."""
    if isinstance(value, list | tuple | set):
        return any(map(has_reference, value))
    if isinstance(value, dict):
        return any(map(has_reference, value.values()))
    # Airflow's references have this method; so has Path.
    return callable(getattr(value, "resolve", None)) and not isinstance(value, os.PathLike)


class CheckedArguments:
    """Mixin of operators with a mapping from argument to parser. List it before Airflow's class among the bases.

    A class with its own ``__init__`` calls :meth:`check_arguments` at its end. The method that runs a task calls
    :meth:`parse_arguments` first.
    """

    #: The parser of each parameter.
    argument_parsers: ClassVar[Mapping[str, Parser]] = {}
    #: Parameters that :meth:`check_together` checks.
    checked_together: ClassVar[frozenset[str]] = frozenset()
    #: Parameters that limit what the task does. A template for one of them must not render to nothing.
    limiting_arguments: ClassVar[frozenset[str]] = frozenset()

    def check_arguments(self) -> None:
        """Check every constant argument when the operator is created.

        Airflow requires that templated fields keep their values; other fields are replaced by their parsed values.

        :raises ConfigurationError: one is invalid, or a field that is not templated has a template.
        """
        templated = frozenset(getattr(self, "template_fields", ()))
        values = {name: vars(self)[name] for name in self.argument_parsers if name in vars(self)}
        unresolved = frozenset(
            name
            for name, value in values.items()
            # Airflow calls a function in a templated field and uses its result.
            if is_unresolved(value) or (name in templated and callable(value))
        )
        self._unresolved = unresolved
        for name, value in values.items():
            if name not in unresolved:
                parsed = self.argument_parsers[name](name, value)
                if name not in templated:
                    setattr(self, name, parsed)
            elif name not in templated:
                raise build_argument_error(name, value, "a constant, because the field is not templated")
        if self.checked_together <= set(values) - unresolved:
            self.check_together()

    def check_together(self) -> None:
        """Check arguments that depend on each other.

        It is called when all of ``checked_together`` are constant. If one is a template, the operator has to check the
        combination when the task runs.

        :raises ConfigurationError: they contradict each other.
        """

    def parse_arguments(self) -> None:
        """Parse every argument after Airflow has rendered templates and resolved references.

        :raises ConfigurationError: one is invalid, or a limiting argument is empty.
        """
        values = {name: vars(self)[name] for name in self.argument_parsers if name in vars(self)}
        for name, value in values.items():
            parsed = self.argument_parsers[name](name, value)
            if name in self.limiting_arguments & self._unresolved and is_empty(parsed):
                raise ConfigurationError(
                    f"{name} is {value!r}: its template or reference came out empty. Without a value the task "
                    f"would do more than intended. Give a value, or leave {name} out."
                )
            setattr(self, name, parsed)

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Create a mapped task as Airflow does, and check its constant arguments when the DAG is parsed."""
        for name, parse in cls.argument_parsers.items():
            if name in kwargs and not is_unresolved(kwargs[name]):
                parse(name, kwargs[name])
        return super().partial(**kwargs)  # type: ignore[misc]

    _unresolved: frozenset[str] = frozenset()
