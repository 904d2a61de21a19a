"""Runs of a DAG in the process of the test, which save it the start of an Airflow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import DAG


@contextmanager
def dag_in_folder(source: str, dag_id: str) -> Iterator[DAG]:
    """Give a DAG for ``dag.test()``, whose file is meanwhile in the folder that Airflow reads, alone.

    The test needs the fixture ``metadata_database``.

    :param source: the text of the file.
    """
    from airflow.dag_processing.dagbag import DagBag

    path = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"], f"{dag_id}.py")
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
    try:
        bag = DagBag(path)
        assert bag.import_errors == {}
        yield bag.dags[dag_id]
    finally:
        path.unlink()
