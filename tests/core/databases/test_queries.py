from __future__ import annotations

from airflow_provider_toggl.core.databases.queries import load_queries


def test_statements_are_named_in_the_order_of_their_file() -> None:
    queries = load_queries("airflow_provider_toggl.core.client.limits", "state.sql")
    assert list(queries)[:2] == ["create_last_request", "create_in_flight"]
    assert queries["count_in_flight"] == "select count(*) from in_flight where token = :token and lane = :lane"
