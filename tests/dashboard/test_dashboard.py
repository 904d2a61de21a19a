"""The Superset dashboard in a real browser: each page shows the figures of the models, without an error."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from support.dashboard_warehouse import build_models
from support.dbt_project import DBT, SCHEMA
from support.repository import keep_for_the_docs
from support.sandboxes import SandboxHost
from support.servers.chromium import find, open_chromium, wait_until
from support.servers.postgres import PostgresServer
from support.servers.superset import DASHBOARD, PASSWORD, SUPERSET, running_superset
from support.truth import rows

pytestmark = [
    pytest.mark.browser,
    pytest.mark.soak,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(None in (DBT, SUPERSET), reason="dbt and Superset are not installed: make dashboard"),
]

Models = Callable[[str], list[dict[str, Any]]]
Cells = list[list[str]]

KEEP_ANSWERS = """
window.answers = [];
const before = window.fetch;
window.fetch = async (...how) => {
    const answer = await before(...how);
    if (answer.url.includes("/api/v1/chart/data")) window.answers.push((await answer.clone().json()).result[0].data);
    return answer;
};
"""
"""Keeps what the server answers to charts: what they draw on a canvas cannot be read from the page."""
CELLS = """
return [...document.querySelectorAll("table tbody tr")]
    .filter((row) => row.checkVisibility())
    .map((row) => [...row.cells].map((cell) => cell.innerText.trim()));
"""
"""The tables of the page that is open; those of other pages stay in the document."""
SUMS = """
const numbers = (row) => Object.entries(row).filter(([name, one]) => name !== "rank" && typeof one === "number");
return window.answers.map((rows) => rows.flatMap(numbers).reduce((sum, [_, one]) => sum + one, 0));
"""
"""The sum of the numbers of each answer, without the ranks that Superset colors a heat map by."""
TIMES = ("last_run", "loaded_until")
ERRORS = "[role=alert], .ant-alert-error, .error-boundary"


@dataclass(frozen=True)
class Page:
    """What a page must show.

    :param table: the cells of its table, from the models.
    :param chart: the sum of all numbers that its chart draws; None if it has no chart.
    """

    name: str
    table: Callable[[Models], Cells]
    chart: Callable[[Models], float] | None = None


def number(value: float | None, digits: int = 1) -> str:
    return "N/A" if value is None else f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def total(found: list[dict[str, Any]], *names: str) -> float:
    return sum(float(row[name]) for row in found for name in names if row[name] is not None)


def utilization(models: Models) -> Cells:
    names = {row["user_id"]: row["fullname"] for row in models("dim_user")}
    people: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in models("utilization"):
        people[names[row["user_id"]]].append(row)
    columns = ("hours", "billable_hours", "available_hours")
    return [[name, *(number(total(weeks, column)) for column in columns)] for name, weeks in people.items()]


def in_euros(models: Models, model: str) -> list[dict[str, Any]]:
    """Return the rows in the first currency, which the filter has chosen; costs in another one are none."""
    found = [row for row in models(model) if row["currency"] == "EUR"]
    return [{**row, "cost": row["cost"] if row.get("cost_currency") == "EUR" else None} for row in found]


def profitability(models: Models) -> Cells:
    names = {row["client_id"]: row["client_name"] for row in models("dim_client")}
    clients: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in in_euros(models, "project_profitability"):
        clients[names.get(row["client_id"], "(no client)")].append(row)
    cells = []
    for name, found in clients.items():
        numbers = [number(total(found, "hours")), number(total(found, "revenue"), 2)]
        cells.append([name, "EUR", *numbers, "N/A", "N/A", number(total(found, "hours_without_cost"))])
    return cells


def budgets(models: Models) -> Cells:
    names = {row["project_id"]: row["project_name"] for row in models("dim_project")}
    return [
        [
            names[row["project_id"]],
            row["currency"] or "hours",
            number(row["budget"]),
            number(row["used"]),
            f"{100 * row['used_share']:.0f}%",
            number(row["forecast_at_end"]),
            str(row["forecast_used_up_on"] or "N/A"),
            str(row["ends_on"] or "N/A"),
            row["status"],
        ]
        for row in models("budget_burn")
    ]


def most_used(found: list[dict[str, Any]]) -> float:
    """Return the sum of the shares that are used, and will be, of the fifteen budgets that are used most."""
    shown = sorted(found, key=lambda row: -row["used_share"])[:15]
    forecasts = [row["forecast_at_end"] / row["budget"] for row in shown if row["forecast_at_end"] is not None]
    return total(shown, "used_share") + sum(forecasts)


def approvals(models: Models) -> Cells:
    names = {row["user_id"]: row["fullname"] for row in models("dim_user")}
    found = []
    for row in models("approvals"):
        changed = row["edited_after_approval"] + row["deleted_after_approval"]
        if row["status"] != "approved" or changed or row["times_reopened"]:
            numbers = [number(row["hours"]), str(changed), str(row["times_reopened"])]
            found.append([names[row["user_id"]], str(row["start_date"]), row["status"], *numbers])
    return found


def unbilled(models: Models) -> Cells:
    clients = {row["client_id"]: row["client_name"] for row in models("dim_client")}
    projects = {row["project_id"]: row["project_name"] for row in models("dim_project")}
    cells = []
    for row in in_euros(models, "unbilled"):
        names = [clients.get(row["client_id"], "(no client)"), projects.get(row["project_id"], "(no project)")]
        numbers = [number(row["hours"]), number(row["amount"], 2), number(row["hours_without_amount"])]
        cells.append([*names, "EUR", *numbers, str(row["first_date"]), str(row["last_date"])])
    return cells


def freshness(models: Models) -> Cells:
    cells = []
    for row in models("sync_state"):
        times = [f"{row[name]:%Y-%m-%d %H:%M}" for name in ("last_run_at", "watermark")]
        cells.append([row["stream"], row["scope"], *times, str(row["requests_spent"])])
    return cells


PAGES = [
    Page("Utilization", utilization, lambda models: total(models("utilization"), "utilization")),
    Page(
        "Profitability",
        profitability,
        lambda models: total(in_euros(models, "project_profitability"), "revenue", "cost"),
    ),
    Page("Budgets", budgets, lambda models: most_used(models("budget_burn"))),
    Page("Approvals", approvals, lambda models: len(models("approvals"))),
    Page("Unbilled", unbilled, lambda models: total(in_euros(models, "unbilled"), "amount")),
    Page("Data freshness", freshness),
]


@pytest.fixture(scope="module")
def warehouse(pull_host: SandboxHost, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    build_models(pull_host, folder, folder / "warehouse.duckdb")
    return folder / "warehouse.duckdb"


@pytest.fixture(scope="module")
def chrome(warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser that is logged in, on the dashboard."""
    folder = tmp_path_factory.mktemp("superset")
    with running_superset(folder, warehouse) as url, open_chromium(tmp_path_factory.mktemp("profile")) as chrome:
        chrome.set_page_load_timeout(120)
        chrome.set_window_size(1200, 1050)
        chrome.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": KEEP_ANSWERS})
        chrome.get(f"{url}/login/?next=/superset/dashboard/toggl-track/")
        find(chrome, "input#username").send_keys("admin")
        find(chrome, "input#password").send_keys(PASSWORD)
        find(chrome, "button[type=submit]").click()
        wait_until(chrome, lambda chrome: "/login" not in chrome.current_url, "the login", timeout=60)
        yield chrome


def open_page(chrome: Chrome, name: str) -> None:
    """Load the dashboard again and open a page of it."""
    chrome.get(chrome.current_url.partition("?")[0].partition("#")[0])
    wait_until(chrome, lambda chrome: chrome.execute_script("return document.fonts.ready.then(() => true)"), "fonts")
    tab = f"//*[@role='tab'][normalize-space()='{name}']"
    wait_until(chrome, lambda chrome: chrome.find_element(By.XPATH, tab).is_displayed(), f"tab {name}", timeout=60)
    chrome.find_element(By.XPATH, tab).click()


def has_chart(chrome: Chrome) -> bool:
    return any(canvas.is_displayed() for canvas in chrome.find_elements(By.CSS_SELECTOR, "canvas"))


def is_still(chrome: Chrome) -> bool:
    return bool(chrome.get_screenshot_as_png() == chrome.get_screenshot_as_png())


def table(chrome: Chrome, wanted: Cells) -> Cells:
    """Return the cells of the page's table, sorted: at once if they are those, else after a minute."""
    with suppress(TimeoutException):
        wait_until(chrome, lambda chrome: sorted(chrome.execute_script(CELLS)) == wanted, "the table", timeout=60)
    cells: Cells = sorted(chrome.execute_script(CELLS))
    return cells


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_page_shows_the_figures_of_the_models_without_an_error(
    chrome: Chrome, warehouse: Path, tmp_path: Path, page: Page
) -> None:
    def models(name: str) -> list[dict[str, Any]]:
        return rows(warehouse, f"select * from {'toggl' if name == 'sync_state' else SCHEMA}.{name}")

    open_page(chrome, page.name)
    wanted = sorted(page.table(models))
    assert wanted
    assert table(chrome, wanted) == wanted
    if page.chart is not None:
        drawn = pytest.approx(page.chart(models))
        wait_until(chrome, lambda chrome: drawn in chrome.execute_script(SUMS), f"a chart whose sum is {drawn}")
        wait_until(chrome, has_chart, "the chart to be drawn")
    assert [alert.text for alert in chrome.find_elements(By.CSS_SELECTOR, ERRORS)] == []
    # Superset's wheel has the address of its statistics built in; nothing answers it here.
    found = [one["message"] for one in chrome.get_log("browser") if one["level"] == "SEVERE"]
    assert [message for message in found if "apachesuperset.gateway.scarf.sh" not in message] == []
    if page.name == "Utilization":
        wait_until(chrome, is_still, "the animations to end")
        chrome.save_screenshot(str(tmp_path / "page.png"))
        keep_for_the_docs(tmp_path / "page.png", "dashboard.png")


def test_the_datasets_have_the_same_rows_on_postgres(
    warehouse: Path, pull_host: SandboxHost, postgres: PostgresServer, tmp_path: Path
) -> None:
    postgres.execute("create database dashboard")
    dsn = postgres.dsn.replace("dbname=postgres", "dbname=dashboard")
    build_models(pull_host, tmp_path, dsn)
    for file in (DASHBOARD / "datasets").glob("*.yaml"):
        dataset = yaml.safe_load(file.read_text())
        wanted, found = (sorted_rows(place, dataset["sql"]) for place in (warehouse, dsn))
        assert wanted
        assert len(found) == len(wanted)
        assert [row for row, other in zip(found, wanted, strict=True) if row != pytest.approx(other)] == []
        assert list(rows(dsn, dataset["sql"])[0]) == [one["column_name"] for one in dataset["columns"]]


def sorted_rows(place: Path | str, query: str) -> list[list[Any]]:
    """Return rows in the order of their texts, without times, which differ between two loads."""
    found = [
        [float(one) if isinstance(one, Decimal) else one for name, one in row.items() if name not in TIMES]
        for row in rows(place, query)
    ]
    return sorted(found, key=lambda row: [one for one in row if isinstance(one, str)])
