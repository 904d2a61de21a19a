from __future__ import annotations

import pytest
from support.toggl_rows import NOON, entries, tags

from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault, WarehouseError
from airflow_provider_toggl.core.load.decode.records import RecordBatch
from airflow_provider_toggl.core.load.tables.migrations import MIGRATIONS
from airflow_provider_toggl.core.load.values import LoadResult, Sweep
from airflow_provider_toggl.core.load.warehouse import Warehouse


def test_a_connection_that_has_ended_is_replaced(target: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    target.load([tags(1)])
    target._engine.open()
    monkeypatch.setattr(target._engine, "is_alive", lambda: False)
    assert target.counts()["tags"] == 1


def test_tables_that_another_process_created_meanwhile_are_used(
    target: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create_and_fail(*_: object) -> None:
        with monkeypatch.context() as patch:
            patch.undo()
        raise WarehouseError("it exists", fault=DatabaseFault.OTHER)

    target.prepare()
    target.close()
    engine = target._engine
    versions = iter([0, 0])
    monkeypatch.setattr(engine, "has_lock_without_tables", False)
    monkeypatch.setattr(engine, "translate", lambda error: error if isinstance(error, WarehouseError) else None)
    monkeypatch.setattr(target, "_find_version", lambda: next(versions, len(MIGRATIONS)))
    monkeypatch.setattr("airflow_provider_toggl.core.load.tables.migrations.apply_migrations", create_and_fail)
    assert target.counts()["tags"] == 0
    target.close()
    versions = iter([0, 0])
    monkeypatch.setattr(engine, "has_lock_without_tables", True)
    with pytest.raises(WarehouseError, match="it exists"):
        target.counts()


def test_characters_that_the_database_turns_out_to_hold_are_not_rejected(
    target: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> LoadResult:
        raise WarehouseError("no such character", fault=DatabaseFault.UNENCODABLE)

    monkeypatch.setattr(target, "_load", fail)
    with pytest.raises(WarehouseError, match="no such character"):
        target.load([tags(1)])


@pytest.mark.parametrize(
    ("batches", "words"), [([], "here are 0: none"), ([tags(1), entries(1)], "here are 2: tags, time")]
)
def test_a_sweep_of_no_or_several_streams_is_refused_before_anything_is_opened(
    target: Warehouse, batches: list[RecordBatch], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        target.load(batches, None, Sweep(7, NOON))
    assert not target._engine.is_open
