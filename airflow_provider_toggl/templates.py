"""Arguments of operators: checked when a DAG is parsed as far as they are constant, the others when a task runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from airflow_provider_toggl.core.arguments import Parser, build_argument_error, is_empty
from airflow_provider_toggl.core.errors import ConfigurationError

_JINJA_MARKS = ("{{", "{%", "{#")


def is_unresolved(value: Any) -> bool:
    """Whether Airflow fills in a value, or something within it, before a task runs.

    That is what Airflow's own ``Templater.render_template`` looks at: Jinja in text, references such as XComArg and
    ``dag.param``, and both within lists, tuples, sets and the values of dicts.
    """
    if isinstance(value, str):
        return any(mark in value for mark in _JINJA_MARKS)
    if isinstance(value, list | tuple | set):
        return any(map(is_unresolved, value))
    if isinstance(value, dict):
        return any(map(is_unresolved, value.values()))
    return has_reference(value)


def has_reference(value: Any) -> bool:
    """Whether a value is a reference such as XComArg, or has one within it; Jinja text is none."""
    if isinstance(value, list | tuple | set):
        return any(map(has_reference, value))
    if isinstance(value, dict):
        return any(map(has_reference, value.values()))
    return callable(getattr(value, "resolve", None)) and not isinstance(value, os.PathLike)


class CheckedArguments:
    """An operator whose arguments are parsed by a table; comes before Airflow's own class among the bases.

    A class with an ``__init__`` of its own calls :meth:`check_arguments` at its end. Whatever runs a task calls
    :meth:`parse_arguments` first.
    """

    #: How each parameter is parsed.
    argument_parsers: ClassVar[Mapping[str, Parser]] = {}
    #: Parameters that :meth:`check_together` looks at.
    checked_together: ClassVar[frozenset[str]] = frozenset()
    #: Parameters that limit what the task does: when a template or reference was given, it must not come to nothing.
    limiting_arguments: ClassVar[frozenset[str]] = frozenset()

    def check_arguments(self) -> None:
        """Check every argument that is constant, when the operator is built.

        Templated ones stay as they were given, as Airflow wants it; the others are parsed for good.

        :raises ConfigurationError: one cannot be what it is, or a parameter that is not templated has a template.
        """
        templated = frozenset(getattr(self, "template_fields", ()))
        given = {name: vars(self)[name] for name in self.argument_parsers if name in vars(self)}
        filled_in = frozenset(
            name
            for name, value in given.items()
            # Of a templated field that is a function Airflow takes what the function returns.
            if is_unresolved(value) or (name in templated and callable(value))
        )
        self._filled_in = filled_in
        for name, value in given.items():
            if name not in filled_in:
                parsed = self.argument_parsers[name](name, value)
                if name not in templated:
                    setattr(self, name, parsed)
            elif name not in templated:
                raise build_argument_error(name, value, "a constant, for it is not a templated field")
        if self.checked_together <= set(given) - filled_in:
            self.check_together()

    def check_together(self) -> None:
        """Check arguments that depend on each other; called when all of ``checked_together`` are constant.

        :raises ConfigurationError: they do not go together.
        """

    def parse_arguments(self) -> None:
        """Parse every argument, after Airflow has filled in templates and references.

        :raises ConfigurationError: one cannot be what it is, or a limit came to nothing.
        """
        given = {name: vars(self)[name] for name in self.argument_parsers if name in vars(self)}
        for name, value in given.items():
            parsed = self.argument_parsers[name](name, value)
            if name in self.limiting_arguments & self._filled_in and is_empty(parsed):
                raise ConfigurationError(
                    f"{name} is {value!r}: the template or reference that it was given came out empty. Without it the "
                    f"task would do more than was meant: give a value, or leave {name} out."
                )
            setattr(self, name, parsed)

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task, as Airflow does; its constant arguments are checked when the DAG is parsed."""
        for name, parse in cls.argument_parsers.items():
            if name in kwargs and not is_unresolved(kwargs[name]):
                parse(name, kwargs[name])
        return super().partial(**kwargs)  # type: ignore[misc]

    _filled_in: frozenset[str] = frozenset()
