"""The page in the Airflow UI in a real browser, with a login and permissions.

On the oldest Airflow: ``.venv-oldest/bin/python -m pytest tests/browser/test_page.py``.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import requests
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from support.deliveries import SECRET, event_body
from support.page_setup import PASSWORDS, PageSetup, running_page_setup
from support.repository import keep_for_the_docs
from support.servers.chromium import find, wait_until

from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.newest,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.xdist_group("page"),
]

DOCUMENTED = {"overview-light", "connection-dark", "deliveries", "timeline", "confirm", "operator", "refused", "phone"}
DELIVERIES = "/c/toggl_default/deliveries"
TOO_WIDE = """
const width = document.documentElement.clientWidth + 1;
return [...document.querySelectorAll("body *")]
    .filter((one) => !one.closest(".scroll *, .plot *, .skip, .hidden"))
    .filter((one) => one.getBoundingClientRect().right > width)
    .map((one) => one.outerHTML.slice(0, 80));
"""
"""Elements beyond the right edge of the window, except in scrollable areas."""
CUT_OFF = """
return [...document.querySelectorAll(".scroll")]
    .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth)
    .map((one) => one.outerHTML.slice(0, 80));
"""
"""Tables that must be scrolled sideways."""
UNNAMED = """
return document.querySelectorAll("table:not(.u-legend):not([aria-labelledby]):not(:has(caption))").length
    + document.querySelectorAll("table:not(.u-legend) th:not([scope])").length;
"""
"""The number of tables without a name and of header cells without a scope."""


@pytest.fixture(scope="module")
def setup(chromium: Chrome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageSetup]:
    with running_page_setup(tmp_path_factory.mktemp("page"), many=20_000) as setup:
        # The receiver saves refusals after some seconds, while other tests run.
        assert setup.deliver(event_body(8), signature="sha256=" + "0" * 64) == 401
        yield setup


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def texts(chrome: Chrome, selector: str) -> list[str]:
    return [element.text for element in chrome.find_elements(By.CSS_SELECTOR, selector)]


def picture(chrome: Chrome, folder: Path, name: str) -> None:
    """Take a screenshot; ``make screenshots`` keeps those of the documentation."""
    place = folder / f"page-{name}.png"
    chrome.save_screenshot(str(place))
    if name in DOCUMENTED:
        keep_for_the_docs(place, place.name)


def sign_in(chrome: Chrome, url: str, name: str) -> None:
    """Fill in Airflow's own login form."""
    chrome.delete_all_cookies()
    chrome.get(f"{url}/auth/login")
    find(chrome, "input[name=username]").send_keys(name)
    find(chrome, "input[name=password]").send_keys(PASSWORDS[name], Keys.ENTER)
    wait_until(chrome, lambda chrome: chrome.get_cookie("_token"), "the login to be taken")


@contextmanager
def inside(chrome: Chrome) -> Iterator[None]:
    """Switch to the frame in which the UI shows the page."""
    chrome.switch_to.frame(find(chrome, "iframe"))
    try:
        yield
    finally:
        chrome.switch_to.default_content()


def set_theme(chrome: Chrome, theme: str) -> None:
    chrome.execute_script("localStorage.setItem('theme', arguments[0])", theme)


def act(chrome: Chrome, name: str) -> None:
    """Press an action's button, confirm it, and wait for its outcome."""
    find(chrome, f"a.button[href$='/act/{name}']").click()
    find(chrome, "button.primary").click()
    wait_until(chrome, lambda c: f"toggl_{name.replace('-', '_')}" in find(c, ".outcome").text, f"{name} to be done")


def audit_entries(setup: PageSetup) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(setup.home.path / "airflow.db")) as db:
        rows = db.execute("select event, owner, extra from log where event like 'toggl_%' order by id").fetchall()
    return [(event, owner, extra) for event, owner, extra in rows]


def test_a_viewer_opens_the_page_from_the_navigation_and_sees_health_and_charts_without_actions(
    setup: PageSetup, chromium: Chrome, tmp_path: Path
) -> None:
    sign_in(chromium, setup.home.url, "viewer")
    for theme in ("light", "dark"):
        chromium.set_window_size(1440, 700)
        set_theme(chromium, theme)
        chromium.get(f"{setup.home.url}/")
        find(chromium, "a[href$='plugin/toggl']").click()
        with inside(chromium):
            find(chromium, "#overview")
            cells = dict(
                zip(
                    texts(chromium, "#overview thead th"),
                    texts(chromium, "[data-conn-id=toggl_default] > *"),
                    strict=True,
                )
            )
            assert cells["Last reconciliation"] == "5 h"
            assert re.fullmatch(r"[\d.]+ (min|h)", cells["Data freshness"])
            assert re.fullmatch(r"171 / 240 · (\d\d-\d\d )?\d\d:\d\d", cells["Quota"])
            assert texts(chromium, "[data-conn-id=toggl_paris] .label.fault") == ["disabled"]
            assert texts(chromium, "[data-conn-id=toggl_paris] .label.warning") == ["2 d"]
        picture(chromium, tmp_path, f"overview-{theme}")
        chromium.set_window_size(1440, 1250)
        with inside(chromium):
            find(chromium, "[data-conn-id=toggl_default] a").click()
            wait_until(chromium, lambda c: len(c.find_elements(By.CSS_SELECTOR, "figure[data-drawn]")) == 3, "charts")
            assert chromium.find_element(By.TAG_NAME, "html").get_attribute("data-theme") == theme
            assert texts(chromium, "a.button") == []
        picture(chromium, tmp_path, f"connection-{theme}")


def test_a_viewer_sees_deliveries_and_timelines_without_bodies_and_actions(
    setup: PageSetup, chromium: Chrome, http: requests.Session
) -> None:
    before = len(audit_entries(setup))
    sign_in(chromium, setup.home.url, "viewer")
    chromium.get(f"{setup.page}{DELIVERIES}/{setup.rejected}")
    steps = texts(chromium, ".timeline li strong")
    assert steps[:4] == ["happened", "received", "verified", "stored"]
    assert sorted(steps[4:]) == ["read", "rejected", "skipped"]
    moments = chromium.execute_script(
        "const times = document.querySelectorAll('.timeline li:nth-child(n+5) time:last-of-type');"
        "return [...times].map((one) => one.dateTime)"
    )
    assert moments == sorted(moments)
    assert "payload.start: missing" in find(chromium, ".timeline .rejected").text
    assert texts(chromium, "a.button") == []
    viewer = setup.sign_in(http, "viewer")
    for path in (f"{DELIVERIES}/{setup.rejected}?body=1", "/c/toggl_default/act/ping"):
        answer = http.get(f"{setup.page}{path}", headers=viewer, timeout=30)
        assert (answer.status_code, setup.sandbox.token in answer.text) == (403, False)
    posted = http.post(f"{setup.page}/c/toggl_default/act/ping", headers=viewer, data={"token": ""}, timeout=30)
    assert posted.status_code == 403
    assert len(audit_entries(setup)) == before


def test_the_login_leads_back_to_the_page(setup: PageSetup, chromium: Chrome) -> None:
    chromium.get(f"{setup.home.url}/auth/login")
    chromium.delete_all_cookies()
    chromium.get(f"{setup.page}{DELIVERIES}")
    find(chromium, "input[name=username]").send_keys("viewer")
    find(chromium, "input[name=password]").send_keys(PASSWORDS["viewer"], Keys.ENTER)
    find(chromium, "table.deliveries")


def test_an_operator_filters_opens_a_delivery_and_replays_it_by_keyboard(
    setup: PageSetup, chromium: Chrome, tmp_path: Path
) -> None:
    before = len(audit_entries(setup))
    chromium.set_window_size(1440, 1000)
    sign_in(chromium, setup.home.url, "operator")
    set_theme(chromium, "light")
    chromium.get(f"{setup.home.url}/plugin/toggl")
    with inside(chromium):
        find(chromium, "[data-conn-id=toggl_default] a").send_keys(Keys.ENTER)
        find(chromium, "a[href$='/deliveries']").send_keys(Keys.ENTER)
        find(chromium, "select[name=entity]").send_keys("project")
        find(chromium, "select[name=action]").send_keys("updated")
        find(chromium, "form.filter button").send_keys(Keys.ENTER)
        wait_until(chromium, lambda c: set(texts(c, ".deliveries td:nth-child(3)")) == {"project"}, "the filter")
    picture(chromium, tmp_path, "deliveries")
    with inside(chromium):
        find(chromium, ".deliveries a").send_keys(Keys.ENTER)
        assert "watcher projects-dashboard" in find(chromium, ".timeline").text
        find(chromium, "a[href$='?body=1#body']").send_keys(Keys.ENTER)
        assert '"event_id":8000000000000000' in find(chromium, "pre.body").text
        seq = int(find(chromium, ".facts dd").text.replace(",", ""))
        find(chromium, "a[href*='replay-delivery']").send_keys(Keys.ENTER)
        assert str(f"{seq:,}") in find(chromium, ".confirm").text
        picture(chromium, tmp_path, "confirm")
        find(chromium, "button.primary").send_keys(Keys.ENTER)
        said = find(chromium, ".outcome.done").text
        stored = re.search(rf"Delivery {seq:,} was stored again, with seq ([\d,]+)", said)
        assert stored is not None
    picture(chromium, tmp_path, "timeline")
    with SqliteEventStore(setup.store_path) as store:
        again = store.get(int(stored[1].replace(",", ""))).event
        assert (again.body, again.event_id) == (store.get(seq).event.body, store.get(seq).event.event_id)
        assert again.anomaly == f"replayed from seq {seq} by operator"
    (entry,) = audit_entries(setup)[before:]
    assert entry[:2] == ("toggl_replay_delivery", "operator")
    assert json.loads(entry[2])["delivery"] == str(seq)


def test_an_operator_runs_every_action_of_a_subscription(setup: PageSetup, chromium: Chrome, tmp_path: Path) -> None:
    chromium.set_window_size(1440, 1400)
    sign_in(chromium, setup.home.url, "operator")
    chromium.get(f"{setup.page}/c/toggl_default")
    act(chromium, "ensure")
    assert ": create." in find(chromium, ".outcome.done").text
    act(chromium, "ping")
    assert "Toggl posted a PING" in find(chromium, ".outcome.done").text
    act(chromium, "enable")
    find(chromium, ".outcome.done")
    values = dict(zip(texts(chromium, ".cards h2"), texts(chromium, ".cards .value"), strict=True))
    assert values["Subscription"] == "enabled"
    assert re.fullmatch(r"\d+\+?", values["Pending events"])
    assert values["Quota"].startswith("171 / 240 · ")
    wait_until(chromium, lambda c: len(c.find_elements(By.CSS_SELECTOR, "figure[data-drawn]")) == 3, "charts")
    picture(chromium, tmp_path, "operator")
    act(chromium, "replay")
    act(chromium, "approve-mass-deletion")
    assert "may mark any number of entries as deleted, once" in find(chromium, ".outcome.done").text
    assert setup.deliver(event_body(7)) == 200
    assert setup.deliver(event_body(7), signature="sha256=" + "0" * 64) == 401
    events = [event for event, *_ in audit_entries(setup)]
    assert {"toggl_ensure", "toggl_ping", "toggl_enable", "toggl_replay", "toggl_approve_mass_deletion"} <= set(events)
    assert SECRET not in str(audit_entries(setup))


def test_a_refused_delivery_is_shown_with_its_reason(setup: PageSetup, chromium: Chrome, tmp_path: Path) -> None:
    chromium.set_window_size(1440, 620)
    sign_in(chromium, setup.home.url, "viewer")

    def is_shown(chrome: Chrome) -> bool:
        chrome.get(f"{setup.page}{DELIVERIES}?outcome=refused")
        return "wrong_signature" in texts(chrome, ".refusals td:nth-child(2)")

    wait_until(chromium, is_shown, "the refused delivery to be shown")
    picture(chromium, tmp_path, "refused")


def test_the_page_fits_a_phone_and_is_accessible(setup: PageSetup, chromium: Chrome, tmp_path: Path) -> None:
    sign_in(chromium, setup.home.url, "operator")
    timeline = f"{DELIVERIES}/{setup.rejected}?body=1"
    refused = f"{DELIVERIES}?outcome=refused"
    paths = ["/", "/c/toggl_default", DELIVERIES, refused, f"{DELIVERIES}?outcome=rejected", timeline]
    paths += ["/c/toggl_default/act/ensure", "/c/nowhere"]
    window = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": False}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", window)
    try:
        for number, path in enumerate(paths):
            chromium.get(f"{setup.page}{path}")
            find(chromium, "footer")
            assert chromium.execute_script(TOO_WIDE) == [], path
            assert chromium.execute_script(UNNAMED) == 0, path
            assert chromium.execute_script(CUT_OFF) == [], path
            picture(chromium, tmp_path, f"phone-{number}" if number else "phone")
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    skip = chromium.switch_to.active_element
    assert skip.text == "Skip to the content"
    assert chromium.execute_script("return parseInt(getComputedStyle(arguments[0]).outlineWidth)", skip) >= 2
    skip.send_keys(Keys.ENTER)
    assert chromium.switch_to.active_element.get_attribute("id") == "main"


def test_times_are_in_the_zone_of_the_ui_and_filters_in_utc(setup: PageSetup, chromium: Chrome) -> None:
    sign_in(chromium, setup.home.url, "viewer")
    chromium.get(f"{setup.page}{DELIVERIES}")
    shown = "return [...document.querySelectorAll('.deliveries time')].map((one) => [one.dateTime, one.textContent])"
    for zone, hours in (("UTC", 0), ("Asia/Tokyo", 9), ("Etc/GMT+11", -11)):
        # The UI does the same in its own document.
        chromium.execute_script(
            """
            localStorage.setItem("timezone", JSON.stringify(arguments[0]));
            dispatchEvent(new StorageEvent("storage", { key: "timezone" }));
            """,
            zone,
        )
        for moment, text in chromium.execute_script(shown):
            utc = datetime.fromisoformat(moment.replace("Z", "+00:00"))
            assert text == f"{utc + timedelta(hours=hours):%Y-%m-%d %H:%M:%S}"
        assert find(chromium, "footer .zone").text == zone
    chromium.get(f"{setup.page}{DELIVERIES}?since=2026-03-10T12:30")
    field = find(chromium, "input[name=since]")
    assert field.get_attribute("value") == "2026-03-10T01:30"
    find(chromium, "form.filter button").click()
    wait_until(chromium, lambda c: "outcome=" in c.current_url, "the filter")
    assert "since=2026-03-10T12%3A30" in chromium.current_url
    chromium.execute_script("localStorage.setItem('timezone', 'no zone {')")
    chromium.get(f"{setup.page}{DELIVERIES}")
    assert find(chromium, "footer .zone").text not in ("", "Etc/GMT+11")
    chromium.execute_script("localStorage.removeItem('timezone')")


REFRESH = "document.dispatchEvent(new Event('toggl-refresh'))"
"""Refreshes the page now."""


def test_the_page_refreshes_unless_paused_and_keeps_open_tables(setup: PageSetup, chromium: Chrome) -> None:
    sign_in(chromium, setup.home.url, "viewer")
    chromium.get(f"{setup.page}/")
    find(chromium, "#overview a")
    chromium.execute_script(
        "document.querySelector('#overview a').focus(); globalThis.before = document.querySelector('#overview')"
    )
    replaced = "return globalThis.before !== document.querySelector('#overview')"
    chromium.execute_script(REFRESH)
    wait_until(chromium, lambda c: c.execute_script(replaced), "the table to be replaced")
    assert chromium.switch_to.active_element.text == "toggl_default"
    button = find(chromium, "#refresh")
    assert (button.text, button.get_attribute("aria-pressed")) == ("Auto-refresh: 10 s", "true")
    button.click()
    assert (button.text, button.get_attribute("aria-pressed")) == ("Auto-refresh: off", "false")
    chromium.get(f"{setup.page}/c/toggl_default")
    assert find(chromium, "#refresh").text == "Auto-refresh: off"
    chromium.execute_script("localStorage.setItem('toggl-auto-refresh', 'on')")
    chromium.get(f"{setup.page}/c/toggl_default")
    wait_until(chromium, lambda c: len(c.find_elements(By.CSS_SELECTOR, "figure[data-drawn]")) == 3, "charts")
    find(chromium, "#chart-deliveries summary").click()
    chromium.execute_script("globalThis.before = document.querySelector('#quota-table')")
    chromium.execute_script(REFRESH)
    wait_until(
        chromium,
        lambda c: c.execute_script("return globalThis.before !== document.querySelector('#quota-table')"),
        "it",
    )
    assert chromium.execute_script("return document.querySelector('#chart-deliveries details').open")
    assert len(chromium.find_elements(By.CSS_SELECTOR, "figure[data-drawn]")) == 3
