"""Default files of one host, where tasks run on several."""

from __future__ import annotations

import pytest
from support.connections import Connections

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.hooks.events import default_store_path, open_event_store
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.hooks.warehouse import DEFAULT_CONN_ID, open_warehouse

pytestmark = pytest.mark.airflow

OPENERS = {
    "The events": lambda: open_event_store().close(),
    "The rate limits": lambda: TogglHook("toggl_default").get_conn(),
    "The rows of the warehouse": lambda: open_warehouse(DEFAULT_CONN_ID, schema="toggl").close(),
}


@pytest.fixture(autouse=True)
def connection(connections: Connections) -> None:
    connections.set("toggl_default", conn_type="toggl", password="c0ffee" * 5)


@pytest.mark.parametrize("what", OPENERS)
@pytest.mark.parametrize(
    ("executor", "reason"),
    [
        ("CeleryExecutor", "tasks are run by CeleryExecutor"),
        ("LocalExecutor, mine:airflow.providers.cncf.kubernetes.KubernetesExecutor", "run by .*KubernetesExecutor"),
    ],
)
def test_a_default_file_is_refused_where_tasks_run_on_several_hosts(
    monkeypatch: pytest.MonkeyPatch, what: str, executor: str, reason: str
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    with pytest.raises(ConfigurationError, match=f"{what} would be in .*{reason}.*single_host = True"):
        OPENERS[what]()


def test_a_default_file_is_refused_in_a_pod_whose_executor_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor")
    monkeypatch.setenv("AIRFLOW_IS_K8S_EXECUTOR_POD", "True")
    with pytest.raises(ConfigurationError, match=r"in a pod with.*event_store_conn_id"):
        open_event_store()


@pytest.mark.parametrize("executor", ["LocalExecutor", "airflow.executors.local_executor.LocalExecutor"])
def test_on_one_host_the_default_files_are_used(monkeypatch: pytest.MonkeyPatch, executor: str) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    for open_one in OPENERS.values():
        open_one()


def test_the_default_files_are_used_where_an_option_says_that_there_is_one_host(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    connections.set_option("single_host", "True")
    for open_one in OPENERS.values():
        open_one()


def test_a_file_that_a_connection_names_is_used(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    path = default_store_path()
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    connections.set("my_events", conn_type="sqlite", host=str(path))
    open_event_store(event_store_conn_id="my_events").close()
