from __future__ import annotations

from support.toggl_rows import NOON, at

from airflow_provider_toggl.core.load.tables import state
from airflow_provider_toggl.core.load.values import Progress
from airflow_provider_toggl.core.load.warehouse import Warehouse


def test_a_setting_that_was_never_set_has_a_default(target: Warehouse) -> None:
    with target.transaction() as session:
        assert state.find_setting(session, "mood", "calm") == "calm"
        for value in ("tense", "tense", "glad"):
            state.store_setting(session, "mood", value)
            assert state.find_setting(session, "mood", "calm") == value


def test_progress_replaces_the_last_one_and_adds_up_requests(target: Warehouse) -> None:
    with target.transaction() as session:
        assert state.find_state(session, "tags", "7") is None
        state.store_progress(session, Progress("tags", "7", None, "1", 2, NOON))
        state.store_progress(session, Progress("tags", "7", NOON, "2", 3, at(9)))
        assert state.find_state(session, "tags", "7") == Progress("tags", "7", NOON, "2", 5, at(9))
        state.store_progress(session, Progress("tags", "8", None, "1", 0, at(5)))
        assert state.list_last_runs(session) == [("tags", at(9))]
