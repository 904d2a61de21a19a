from __future__ import annotations

import pytest
from support.selection import some_cases


@pytest.mark.parametrize(
    ("most", "kept"),
    [(1, ["a[0]", "b"]), (2, ["a[0]", "a[3]", "b"]), (9, ["a[0]", "a[1]", "a[2]", "a[3]", "a[4]", "a[5]", "b"])],
)
def test_some_cases_of_a_table_are_spread_over_it(most: int, kept: list[str]) -> None:
    ids = ["b", *(f"a[{number}]" for number in range(6))]
    assert sorted(some_cases(ids, most)) == kept


def test_this_test_is_a_unit_test(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("unit")


def test_a_test_that_starts_a_server_is_no_unit_test(request: pytest.FixtureRequest) -> None:
    from support.selection import _starts_processes
    from support.servers.postgres import running_postgres

    assert _starts_processes(running_postgres)
