"""What a warehouse stores about itself: its settings, and how far each stream is loaded."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_toggl.core.databases.statements import load_statements
from airflow_provider_toggl.core.load.engines.contract import Session, instants_of
from airflow_provider_toggl.core.load.values import Progress

STATEMENTS = load_statements(__package__, "state.sql")


def find_setting(session: Session, key: str, otherwise: str) -> str:
    """Return a setting, or a default if it was never set."""
    found = session.run(STATEMENTS["find_setting"], [key])
    return str(found[0][0]) if found else otherwise


def store_setting(session: Session, key: str, value: str) -> None:
    """Store a setting."""
    found = session.run(STATEMENTS["find_setting"], [key])
    if not found:
        session.run(STATEMENTS["insert_setting"], [value, key])
    elif found[0][0] != value:
        session.run(STATEMENTS["update_setting"], [value, key])


def find_state(session: Session, stream: str, scope: str) -> Progress | None:
    """Return how far a stream is loaded in a scope, None if it was never loaded; ``requests_spent`` is the total."""
    found = session.table(STATEMENTS["find_state"], [stream, scope])
    if not found.num_rows:
        return None
    (watermark,), (last_run_at,) = instants_of(found[0]), instants_of(found[2])
    assert last_run_at is not None  # noqa: S101 - the column is not null
    return Progress(stream, scope, watermark, found[1][0].as_py(), int(found[3][0].as_py()), last_run_at)


def store_progress(session: Session, progress: Progress) -> None:
    """Store how far a stream is loaded; the requests spent are added to the total."""
    key = [progress.stream, progress.scope]
    values = [progress.watermark, progress.cursor, progress.ran_at, progress.requests_spent]
    is_known = session.run(STATEMENTS["count_state"], key)[0][0]
    session.run(STATEMENTS["update_state" if is_known else "insert_state"], [*values, *key])


def list_last_runs(session: Session) -> list[tuple[str, datetime]]:
    """Return each stream that was ever loaded, with the time of its last run."""
    found = session.table(STATEMENTS["list_last_runs"])
    return [(name, at) for name, at in zip(found[0].to_pylist(), instants_of(found[1]), strict=True) if at is not None]
