from __future__ import annotations

import inspect
import re

from airflow_provider_toggl.core import errors


def tree_of_the_docstring() -> dict[str, str]:
    """Return parent by child, as drawn with box characters, four columns a level."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        drawn = re.match(r"    (?P<indent>(?:(?:│|├──|└──| {3}) {0,3})*)(?P<name>[A-Z]\w+)(?:\s{2,}|$)", line)
        if drawn is None:
            continue
        depth = len(drawn["indent"]) // 4
        del path[depth:]
        if path:
            parents[drawn["name"]] = path[-1]
        path.append(drawn["name"])
    return parents


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    classes = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, errors.TogglError)]
    real = {c.__name__: c.__bases__[0].__name__ for c in classes if c is not errors.TogglError}
    assert real
    assert tree_of_the_docstring() == real


def test_every_error_says_in_its_first_sentence_what_happened() -> None:
    classes = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, errors.TogglError)]
    assert [c.__name__ for c in classes if not (c.__doc__ or "").split("\n")[0].endswith(".")] == []
