"""What the how-to pages show, run, or read by what would read it."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import psycopg
import pytest
import requests
from support.airflow_home import AirflowHome, free_port
from support.deliveries import event_body, sign
from support.event_stores import new_event
from support.fixtures import pull_host
from support.pulls import SandboxHost, build_workspace
from support.repository import ROOT, load_program
from support.servers.postgres import running_postgres
from support.toggl_rows import NOON, at, entries
from support.tutorials import Shell, bare_environment, steps
from support.waiting import wait_until

from airflow_provider_toggl.__main__ import build_parser
from airflow_provider_toggl.cli import receiver
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.values import Progress
from airflow_provider_toggl.core.webhooks.delivery import MAX_BODY_BYTES
from airflow_provider_toggl.sandbox.server import start_sandbox

EXAMPLES = ROOT / "docs" / "examples"
__all__ = ["pull_host"]


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DuckDB file with three entries, the warehouse of tasks."""
    file = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("AIRFLOW_CONN_DUCKDB_DEFAULT", json.dumps({"conn_type": "duckdb", "host": str(file)}))
    load_entries(file, 3)
    return file


def load_entries(file: Path, number: int) -> None:
    with build_duckdb_warehouse(file, schema="toggl") as target:
        target.prepare()
        target.load([entries(*range(1, number + 1))], Progress("time_entries", "1", at(0), "", 1, NOON))


def is_answering(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


def documents(name: str) -> list[dict[str, Any]]:
    yaml = pytest.importorskip("yaml")  # comes with what builds the documentation
    return [document for document in yaml.safe_load_all((EXAMPLES / name).read_text()) if document]


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example that publishes a warehouse for analysts."""
    monkeypatch.setenv("TOGGL_WORKSPACE_ID", "1")
    return load_program(EXAMPLES / "publish_for_analysts.py")


# -- questions -------------------------------------------------------------------------------------------------------


QUESTIONS = dict(
    re.findall(r"\[start:(\w+)\]\n(.+?)-- --8<-- \[end", (EXAMPLES / "questions.sql").read_text(), re.DOTALL)
)


@pytest.fixture(scope="module")
def loaded(pull_host: SandboxHost, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all that a workspace of 500 entries has."""
    file = tmp_path_factory.mktemp("loaded") / "warehouse.duckdb"
    # The questions are about the current month, so this world has today's date.
    build_workspace(pull_host, file, entries=500, plan="enterprise", now=datetime.now(timezone.utc)).pull_all()
    return file


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_common_question_has_an_answer(loaded: Path, name: str) -> None:
    with duckdb.connect(str(loaded), read_only=True) as warehouse:
        rows = warehouse.execute(QUESTIONS[name]).fetchall()
    # What the others find depends on the day, and the sandbox's projects have no estimates.
    assert rows or name not in ("clients", "billable", "tag", "unsorted", "fresh")
    assert f"questions.sql:{name}" in (ROOT / "docs" / "how-to" / "questions.md").read_text()


# -- analysts and backups --------------------------------------------------------------------------------------------


def test_published_files_are_read_while_the_file_is_written_and_replaced_by_the_next(
    warehouse: Path, publisher: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "published"
    written = publisher.publish(folder)
    assert sorted(path.name for path in written) == sorted(f"{view}.parquet" for view in publisher.VIEWS)
    assert sorted(folder.iterdir()) == sorted(written)
    with duckdb.connect(str(warehouse)) as writer, duckdb.connect() as analyst:
        writer.execute("create table toggl.held (n int)")
        view = "create view time_entry_facts as from read_parquet('/srv/toggl/time_entry_facts.parquet');"
        assert view in (ROOT / "docs" / "how-to" / "duckdb-analysts.md").read_text()
        analyst.execute(view.replace("/srv/toggl", str(folder)))
        assert analyst.execute("select count(*) from time_entry_facts").fetchall() == [(3,)]
    load_entries(warehouse, 5)
    publisher.publish(folder)
    with duckdb.connect() as analyst:
        assert analyst.execute(
            f"select count(*) from read_parquet('{folder}/time_entry_facts.parquet')"
        ).fetchall() == [(5,)]


def back_up(folder: Path, step: int) -> None:
    """Type one of the two commands that make backups."""
    env = bare_environment(folder)
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    with Shell(folder, env) as shell:
        shell.say(steps(ROOT / "docs" / "how-to" / "restore.md")[step].text)


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="sqlite3 is not installed")
def test_the_backup_of_an_event_store_that_is_in_use_has_its_events(tmp_path: Path) -> None:
    with SqliteEventStore(tmp_path / "events.sqlite") as store:
        store.prepare()
        store.append([new_event(1), new_event(2)])
        back_up(tmp_path, 1)
        store.append([new_event(3)])
    with SqliteEventStore(tmp_path / "events-backup.sqlite") as restored:
        assert [event.seq for event in restored.read(after=0, limit=10)] == [1, 2]


def test_the_backup_has_all_tables_and_views(warehouse: Path) -> None:
    back_up(warehouse.parent, 0)
    contents = "select table_name from information_schema.tables where table_schema = 'toggl' order by 1"
    with duckdb.connect(str(warehouse)) as one, duckdb.connect(str(warehouse.parent / "backup.duckdb")) as other:
        assert one.execute(contents).fetchall() == other.execute(contents).fetchall()
        assert other.execute("select count(*) from toggl.time_entry_facts").fetchall() == [(3,)]


# -- DAGs ------------------------------------------------------------------------------------------------------------


@pytest.mark.soak
@pytest.mark.airflow
@pytest.mark.timeout(900)
def test_the_last_days_are_in_a_schema_of_their_own(tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    shutil.copy(EXAMPLES / "last_days_to_postgres.py", dags)
    with (
        running_postgres() as server,
        start_sandbox(entries=400, days=200) as toggl,
        AirflowHome(tmp_path / "airflow", dags=dags) as airflow,
    ):
        airflow.set_connection("warehouse", server.connection)
        airflow.set_connection("toggl_default", json.loads(toggl.airflow_connection(requests_per_second=100)))
        first = (datetime.now(timezone.utc) - timedelta(days=90)).date().isoformat()
        entries = [one for one in toggl.truth("time_entries") if not one["deleted_at"]]
        for _ in range(2):
            airflow.cli("dags", "test", "toggl_last_days", timeout=300)
            with psycopg.connect(f"host=127.0.0.1 port={server.port} user=postgres dbname=postgres") as db:
                found = {row[0] for row in db.execute("select id from timesheets.live_time_entries")}
                ((named,),) = db.execute("select count(*) from timesheets.time_entry_facts where user_name is not null")
            # A day more or less: the zones of the owner and of this test.
            assert {one["id"] for one in entries if one["start"][:10] > first} <= found
            assert len(found) < len(entries) * 0.7
            assert named == len(found)


@pytest.mark.newest
@pytest.mark.airflow
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_project_s_own_tests_run_against_the_sandbox(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    shutil.copy(EXAMPLES / "project_hours.py", tmp_path / "dags")
    (tmp_path / "tests").mkdir()
    shutil.copy(EXAMPLES / "testing" / "test_project_hours.py", tmp_path / "tests")
    shutil.copy(EXAMPLES / "testing" / "pytest.ini", tmp_path)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTEST", "TOGGL"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


# -- connections -----------------------------------------------------------------------------------------------------


def set_connections(monkeypatch: pytest.MonkeyPatch, connections: dict[str, Any]) -> None:
    for conn_id, connection in connections.items():
        value = connection if isinstance(connection, str) else json.dumps(connection)
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", value)


@pytest.mark.parametrize("example", ["several-hosts.json", "kubernetes/secret.yaml"])
def test_the_hooks_take_the_connections_down_to_where_they_connect(
    monkeypatch: pytest.MonkeyPatch, example: str
) -> None:
    from airflow.providers.common.compat.sdk import BaseHook

    from airflow_provider_toggl.hooks.events import resolve_store_conn_id
    from airflow_provider_toggl.hooks.libpq import build_dsn
    from airflow_provider_toggl.hooks.receiver import get_receiving_connection

    if example.endswith(".json"):
        set_connections(monkeypatch, json.loads((EXAMPLES / example).read_text()))
    else:
        (secret,) = documents(example)
        for name, value in secret["stringData"].items():
            monkeypatch.setenv(name, value)
    assert resolve_store_conn_id("toggl_default") == "toggl_events"
    assert get_receiving_connection("toggl_default").store == "toggl_events"
    for conn_id in ("toggl_events", "warehouse"):
        dsn = build_dsn(BaseHook.get_connection(conn_id))
        assert all(part in dsn for part in ("host=db.example.com", "dbname=airflow_data", "sslmode=require"))


def test_the_connection_of_a_secret_is_the_one_of_the_file() -> None:
    inside = json.loads((EXAMPLES / "connections.json").read_text())
    assert json.loads((EXAMPLES / "connection.json").read_text()) == inside["toggl_default"]


@pytest.mark.usefixtures("metadata_database")
def test_a_command_finds_its_connection_in_a_secrets_backend(tmp_path: Path) -> None:
    connection = json.loads((EXAMPLES / "connection.json").read_text())
    env = os.environ | {
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(tmp_path / "connections.json")}),
        "AIRFLOW__TOGGL__STATE_DIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "airflow_provider_toggl", "quota", "--json"]
    with start_sandbox(entries=1) as toggl:
        connection |= {"host": toggl.url, "password": toggl.token}
        (tmp_path / "connections.json").write_text(json.dumps({"toggl_default": connection}))
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "user" in json.loads(done.stdout.splitlines()[-1])


def test_the_role_of_several_hosts_may_make_all_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_toggl.hooks.events import open_event_store
    from airflow_provider_toggl.hooks.toggl import TogglHook
    from airflow_provider_toggl.hooks.warehouse import open_warehouse

    given = json.loads((EXAMPLES / "several-hosts.json").read_text())
    with running_postgres() as server:
        for statement in (EXAMPLES / "several_hosts.sql").read_text().split(";"):
            if statement.strip():
                server.execute(statement)
        for name in ("toggl_events", "warehouse"):
            given[name] |= {"host": "127.0.0.1", "port": server.port, "extra": {}}
        set_connections(monkeypatch, given)
        with open_warehouse("warehouse", schema="toggl") as target:
            target.prepare()
            target.load([entries(1)], Progress("time_entries", "1", at(0), "", 1, NOON))
        TogglHook("toggl_default").get_conn().lanes()
        store = open_event_store("toggl_default")
        store.append([new_event(1)])
        assert store.last_seq() == 1
        with psycopg.connect(f"host=127.0.0.1 port={server.port} user=toggl dbname=airflow_data") as db:
            made = db.execute("select nspname from pg_namespace where nspname like 'toggl%' order by 1").fetchall()
            for query in QUESTIONS.values():
                db.execute(query)
        assert made == [("toggl",), ("toggl_events",), ("toggl_limits",)]
        store.close()


# -- Kubernetes and proxies ------------------------------------------------------------------------------------------


def test_the_chart_gives_the_connections_to_each_container() -> None:
    (values,) = documents("kubernetes/values.yaml")
    (secret,) = documents("kubernetes/secret.yaml")
    assert f"name: {secret['metadata']['name']}" in values["extraEnvFrom"]


def test_the_receiver_s_command_port_and_path_are_those_of_the_package() -> None:
    deployment, service, ingress = documents("kubernetes/receiver.yaml")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    python, dash_m, package, *rest = container["args"]
    assert (python, dash_m, package) == ("python", "-m", "airflow_provider_toggl")
    chosen, options = build_parser().parse_known_args(rest)
    assert chosen.command == "receiver"
    parser = argparse.ArgumentParser()
    receiver.add_arguments(parser)
    assert parser.parse_args(options).port == container["ports"][0]["containerPort"]
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert path["path"] == "/toggl/webhooks/"
    assert path["backend"]["service"]["name"] == service["metadata"]["name"]


def test_the_container_s_command_receives_into_the_database_that_its_environment_names(
    postgres_fields: dict[str, Any], tmp_path: Path
) -> None:
    command = json.loads((EXAMPLES / "receiver" / "Dockerfile").read_text().split("CMD ")[1])
    (compose,) = documents("receiver/compose.yaml")
    environment = compose["services"]["receiver"]["environment"]
    assert set(environment) == {"AIRFLOW_CONN_TOGGL_DEFAULT", "AIRFLOW_CONN_TOGGL_EVENTS"}
    secret = json.loads(environment["AIRFLOW_CONN_TOGGL_DEFAULT"])["extra"]["webhook_secret"]
    port = free_port()
    command[0], command[command.index("8090")] = sys.executable, str(port)
    known = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "TOGGL"))}
    env = (
        known
        | environment
        | {
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW_CONN_TOGGL_EVENTS": json.dumps(postgres_fields),
        }
    )
    with subprocess.Popen(command, env=env) as receiver_process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: is_answering(f"{url}/toggl/health"), timeout=60)
            body = event_body(1)
            headers = {"x-webhook-signature-256": sign(body, secret)}
            answer = requests.post(f"{url}/toggl/webhooks/toggl_default", data=body, headers=headers, timeout=30)
        finally:
            receiver_process.terminate()
    assert answer.status_code == 200
    with psycopg.connect(
        f"host=127.0.0.1 port={postgres_fields['port']} user=postgres dbname={postgres_fields['schema']}"
    ) as db:
        assert db.execute("select count(*) from toggl_events.events").fetchall() == [(1,)]


def test_proxies_take_bodies_as_large_as_the_receiver_does_and_lead_to_its_path() -> None:
    (traefik,) = documents("traefik.yaml")
    assert traefik["http"]["middlewares"]["toggl-size"]["buffering"]["maxRequestBodyBytes"] == MAX_BODY_BYTES
    assert "PathPrefix(`/toggl/webhooks/`)" in traefik["http"]["routers"]["toggl"]["rule"]
    (server,) = traefik["http"]["services"]["toggl"]["loadBalancer"]["servers"]
    nginx, caddy = (EXAMPLES / "nginx.conf").read_text(), (EXAMPLES / "Caddyfile").read_text()
    assert MAX_BODY_BYTES == 1024 * 1024
    assert "client_max_body_size 1m;" in nginx
    assert "max_size 1MiB" in caddy
    assert f"proxy_pass {server['url']};" in nginx
    assert f"reverse_proxy {urlsplit(server['url']).netloc}" in caddy
