"""The page in the Airflow UI as people use it: signed in, with their rights, in a real browser, on a million events.

It is run on the newest Airflow by itself, and by name on the oldest: ``.venv-oldest/bin/python -m pytest
tests/browser/test_page.py``. With ``RENEW_IMAGES=1`` and ``-p no:randomly`` the pictures of the documentation are taken
anew.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from support.deliveries import SECRET, event_body
from support.event_stores import FIRST_ENTITY, FIRST_EVENT
from support.page_setup import PASSWORDS, PageSetup, running_page_setup
from support.servers.chromium import find, wait_until

from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.newest,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.xdist_group("page"),
]

DOCUMENTED = {
    "overview-light",
    "connection-dark",
    "deliveries",
    "story",
    "confirm",
    "operator",
    "refused",
    "phone",
}
IMAGES = Path(__file__).parents[2] / "docs" / "images"
DELIVERIES = "/c/toggl_default/deliveries"
TOO_WIDE = """
const width = document.documentElement.clientWidth + 1;
return [...document.querySelectorAll("body *")]
    .filter((one) => !one.closest(".scroll *, .plot *, .skip, .hidden"))
    .filter((one) => one.getBoundingClientRect().right > width)
    .map((one) => one.outerHTML.slice(0, 80));
"""
"""What goes over the right edge of the window, but for what can be scrolled by itself."""
CUT_OFF = """
return [...document.querySelectorAll(".scroll")]
    .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth)
    .map((one) => one.outerHTML.slice(0, 80));
"""
"""Tables that go on beyond the edge."""
UNNAMED = """
return document.querySelectorAll("table:not(.u-legend):not([aria-labelledby]):not(:has(caption))").length
    + document.querySelectorAll("table:not(.u-legend) th:not([scope])").length;
"""
"""How many tables have no name, and heads no direction."""


@pytest.fixture(scope="module")
def office(chromium: Chrome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageSetup]:
    with running_page_setup(tmp_path_factory.mktemp("office")) as office:
        yield office


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def texts(chrome: Chrome, selector: str) -> list[str]:
    return [element.text for element in chrome.find_elements(By.CSS_SELECTOR, selector)]


def picture(chrome: Chrome, folder: Path, name: str) -> None:
    """Take a picture of what the window shows, for who looks at the test, or for the documentation."""
    place = IMAGES if os.environ.get("RENEW_IMAGES") == "1" and name in DOCUMENTED else folder
    chrome.save_screenshot(str(place / f"page-{name}.png"))


def sign_in(chrome: Chrome, url: str, name: str) -> None:
    """Fill in Airflow's own login form."""
    chrome.delete_all_cookies()
    chrome.get(f"{url}/auth/login")
    find(chrome, "input[name=username]").send_keys(name)
    find(chrome, "input[name=password]").send_keys(PASSWORDS[name], Keys.ENTER)
    wait_until(chrome, lambda chrome: chrome.get_cookie("_token"), "the login to be taken")


@contextmanager
def inside(chrome: Chrome) -> Iterator[None]:
    """Work in the frame in which the UI shows the page."""
    chrome.switch_to.frame(find(chrome, "iframe"))
    try:
        yield
    finally:
        chrome.switch_to.default_content()


def set_theme(chrome: Chrome, theme: str) -> None:
    chrome.execute_script("localStorage.setItem('theme', arguments[0])", theme)


def act(chrome: Chrome, name: str) -> None:
    """Press an action's button, confirm, and wait for what came of it."""
    find(chrome, f"a.button[href$='/act/{name}']").click()
    find(chrome, "button.primary").click()
    wait_until(chrome, lambda c: f"toggl_{name.replace('-', '_')}" in find(c, ".outcome").text, f"{name} to be done")


def audit_entries(office: PageSetup) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(office.home.path / "airflow.db")) as db:
        rows = db.execute("select event, owner, extra from log where event like 'toggl_%' order by id").fetchall()
    return [(event, owner, extra) for event, owner, extra in rows]


def test_a_viewer_opens_it_by_the_navigation_and_sees_health_and_charts_but_no_actions(
    office: PageSetup, chromium: Chrome, tmp_path: Path
) -> None:
    chromium.set_window_size(1440, 1250)
    sign_in(chromium, office.home.url, "viewer")
    for theme in ("light", "dark"):
        set_theme(chromium, theme)
        chromium.get(f"{office.home.url}/")
        find(chromium, "a[href$='plugin/toggl']").click()
        with inside(chromium):
            find(chromium, "#overview")
            cells = dict(
                zip(texts(chromium, "#overview thead th"), texts(chromium, "#overview tbody tr > *"), strict=True)
            )
            assert cells["Reconciled"] == "5 h"
            assert re.fullmatch(r"\d+ (min|h)", cells["Freshness"])
            assert re.fullmatch(r"171 / 240 · (\d\d-\d\d )?\d\d:\d\d", cells["Quota"])
        picture(chromium, tmp_path, f"overview-{theme}")
        with inside(chromium):
            find(chromium, "[data-conn-id=toggl_default] a").click()
            wait_until(chromium, lambda c: len(c.find_elements(By.CSS_SELECTOR, "figure[data-drawn]")) == 3, "charts")
            assert chromium.find_element(By.TAG_NAME, "html").get_attribute("data-theme") == theme
            assert texts(chromium, "a.button") == []
        picture(chromium, tmp_path, f"connection-{theme}")


def test_a_viewer_reads_deliveries_and_their_story_but_no_body_and_cannot_act(
    office: PageSetup, chromium: Chrome, http: requests.Session
) -> None:
    before = len(audit_entries(office))
    sign_in(chromium, office.home.url, "viewer")
    chromium.get(f"{office.page}{DELIVERIES}/{office.rejected}")
    story = texts(chromium, ".story li strong")
    assert story[:4] == ["happened", "received", "verified", "stored"]
    assert sorted(story[4:]) == ["passed over", "read", "rejected"]
    moments = chromium.execute_script(
        "return [...document.querySelectorAll('.story li:nth-child(n+5) time:last-of-type')].map((one) => one.dateTime)"
    )
    assert moments == sorted(moments)
    assert "payload.start: missing" in find(chromium, ".story .rejected").text
    assert texts(chromium, "a.button") == []
    viewer = office.sign_in(http, "viewer")
    for path in (f"{DELIVERIES}/{office.rejected}?body=1", "/c/toggl_default/act/ping"):
        answer = http.get(f"{office.page}{path}", headers=viewer, timeout=30)
        assert (answer.status_code, office.sandbox.token in answer.text) == (403, False)
    posted = http.post(f"{office.page}/c/toggl_default/act/ping", headers=viewer, data={"token": ""}, timeout=30)
    assert posted.status_code == 403
    assert len(audit_entries(office)) == before


def test_whoever_is_not_signed_in_is_sent_to_the_login_and_back(office: PageSetup, chromium: Chrome) -> None:
    chromium.get(f"{office.home.url}/auth/login")
    chromium.delete_all_cookies()
    chromium.get(f"{office.page}{DELIVERIES}")
    find(chromium, "input[name=username]").send_keys("viewer")
    find(chromium, "input[name=password]").send_keys(PASSWORDS["viewer"], Keys.ENTER)
    find(chromium, "table.deliveries")


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({}, 50),
        ({"outcome": "waiting"}, 20),
        ({"outcome": "landed", "entity": "client"}, 50),
        ({"outcome": "odd"}, 50),
        ({"outcome": "rejected", "entity": "time_entry"}, 1),
        ({"outcome": "rejected", "entity": "tag"}, 0),
        ({"entity": "client", "action": "deleted"}, 50),
        ({"entity": "tag", "action": "deleted"}, 0),
        ({"id": str(FIRST_EVENT)}, 1),
        ({"id": str(FIRST_ENTITY + 5)}, 3),
        ({"id": "1"}, 0),
        ({"since": "{day_3}", "until": "{day_2}", "entity": "project"}, 50),
    ],
    ids=lambda value: " ".join(value) or "all" if isinstance(value, dict) else "",
)
def test_a_page_of_a_million_rows_has_what_was_asked_for(
    office: PageSetup,
    http: requests.Session,
    asked: dict[str, str],
    shown: int,
) -> None:
    now = datetime.now(timezone.utc)
    days = {f"day_{back}": f"{now - timedelta(days=back):%Y-%m-%dT%H:%M}" for back in (2, 3)}
    query = urlencode({name: value.format(**days) for name, value in asked.items()})
    viewer = office.sign_in(http, "viewer")
    answer = http.get(f"{office.page}{DELIVERIES}?{query}", headers=viewer, timeout=30)
    assert answer.status_code == 200
    rows = answer.text.count(f'<td data-label="Seq"><a href="/toggl-page{DELIVERIES}/')
    # Other tests may have added some that are waiting.
    assert rows in range(shown, shown + 5 if asked.get("outcome") == "waiting" else shown + 1)
    assert "Searched back to" not in answer.text


def test_what_is_rare_is_found_at_once_however_old_it_is(office: PageSetup, chromium: Chrome) -> None:
    sign_in(chromium, office.home.url, "viewer")
    chromium.get(f"{office.page}{DELIVERIES}?{urlencode({'id': FIRST_ENTITY + 5})}")
    assert len(chromium.find_elements(By.CSS_SELECTOR, ".deliveries tbody a")) == 3
    assert "End of list" in find(chromium, ".paging").text


def test_an_operator_filters_opens_a_delivery_and_replays_it_by_keyboard(
    office: PageSetup, chromium: Chrome, tmp_path: Path
) -> None:
    before = len(audit_entries(office))
    chromium.set_window_size(1440, 1000)
    sign_in(chromium, office.home.url, "operator")
    set_theme(chromium, "light")
    chromium.get(f"{office.home.url}/plugin/toggl")
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
        story = find(chromium, ".story").text
        assert "watcher projects-dashboard" in story
        find(chromium, "a[href$='?body=1#body']").send_keys(Keys.ENTER)
        assert '"event_id":8000000000000000' in find(chromium, "pre.body").text
        seq = int(find(chromium, ".facts dd").text.replace(",", ""))
        find(chromium, "a[href*='replay-delivery']").send_keys(Keys.ENTER)
        assert str(f"{seq:,}") in find(chromium, ".confirm").text
        picture(chromium, tmp_path, "confirm")
        find(chromium, "button.primary").send_keys(Keys.ENTER)
        said = find(chromium, ".outcome.done").text
        stored = re.search(rf"Delivery {seq} is in the store once more, in place (\d+)", said)
        assert stored is not None
    picture(chromium, tmp_path, "story")
    with SqliteEventStore(office.store_path) as store:
        again = store.get(int(stored[1])).event
        assert (again.body, again.event_id) == (store.get(seq).event.body, store.get(seq).event.event_id)
        assert again.anomaly == f"replayed from place {seq} by operator"
    (entry,) = audit_entries(office)[before:]
    assert entry[:2] == ("toggl_replay_delivery", "operator")
    assert json.loads(entry[2])["delivery"] == str(seq)


def test_an_operator_ensures_pings_and_enables_the_subscription_and_the_story_of_what_it_delivers_is_there(
    office: PageSetup, chromium: Chrome, tmp_path: Path
) -> None:
    chromium.set_window_size(1440, 1400)
    sign_in(chromium, office.home.url, "operator")
    chromium.get(f"{office.page}/c/toggl_default")
    act(chromium, "ensure")
    assert "is as declared now (create)" in find(chromium, ".outcome.done").text
    act(chromium, "ping")
    assert "Toggl posted a PING" in find(chromium, ".outcome.done").text
    act(chromium, "enable")
    find(chromium, ".outcome.done")
    values = dict(zip(texts(chromium, ".cards h2"), texts(chromium, ".cards .value"), strict=True))
    assert values["Subscription"] == "enabled"
    assert re.fullmatch(r"\d+ pending", values["Events"])
    assert values["Quota"].startswith("171 / 240 · ")
    wait_until(chromium, lambda c: len(c.find_elements(By.CSS_SELECTOR, "figure[data-drawn]")) == 3, "charts")
    picture(chromium, tmp_path, "operator")
    act(chromium, "replay")
    act(chromium, "allow-mass-absence")
    assert "may mark any number of entries absent, once" in find(chromium, ".outcome.done").text
    assert office.deliver(event_body(7)) == 200
    assert office.deliver(event_body(7), signature="sha256=" + "0" * 64) == 401
    events = [event for event, *_ in audit_entries(office)]
    assert {"toggl_ensure", "toggl_ping", "toggl_enable", "toggl_replay", "toggl_allow_mass_absence"} <= set(events)
    assert SECRET not in str(audit_entries(office))


def test_why_a_delivery_was_refused_is_told_without_it(office: PageSetup, chromium: Chrome, tmp_path: Path) -> None:
    sign_in(chromium, office.home.url, "viewer")
    assert office.deliver(event_body(8), signature="sha256=" + "0" * 64) == 401

    def is_told(chrome: Chrome) -> bool:
        chrome.get(f"{office.page}{DELIVERIES}?outcome=refused")
        return "wrong_signature" in texts(chrome, ".refusals td:nth-child(2)")

    wait_until(chromium, is_told, "the receiver to tell of it")
    picture(chromium, tmp_path, "refused")


def test_it_fits_a_phone_and_tables_and_focus_are_for_everybody(
    office: PageSetup, chromium: Chrome, tmp_path: Path
) -> None:
    sign_in(chromium, office.home.url, "operator")
    story = f"{DELIVERIES}/{office.rejected}?body=1"
    refused = f"{DELIVERIES}?outcome=refused"
    paths = ["/", "/c/toggl_default", DELIVERIES, refused, f"{DELIVERIES}?outcome=rejected", story]
    paths += ["/c/toggl_default/act/ensure", "/c/nowhere"]
    window = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": False}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", window)
    try:
        for number, path in enumerate(paths):
            chromium.get(f"{office.page}{path}")
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


def test_moments_are_in_the_zone_of_the_ui_and_what_is_asked_for_is_utc(office: PageSetup, chromium: Chrome) -> None:
    sign_in(chromium, office.home.url, "viewer")
    chromium.get(f"{office.page}{DELIVERIES}")
    shown = "return [...document.querySelectorAll('.deliveries time')].map((one) => [one.dateTime, one.textContent])"
    for zone, hours in (("UTC", 0), ("Asia/Tokyo", 9), ("Etc/GMT+11", -11)):
        # As the UI does it, in its own document: the page hears of it.
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
    chromium.get(f"{office.page}{DELIVERIES}?since=2026-03-10T12:30")
    field = find(chromium, "input[name=since]")
    assert field.get_attribute("value") == "2026-03-10T01:30"
    find(chromium, "form.filter button").click()
    wait_until(chromium, lambda c: "outcome=" in c.current_url, "the filter")
    assert "since=2026-03-10T12%3A30" in chromium.current_url
    chromium.execute_script("localStorage.setItem('timezone', 'no zone {')")
    chromium.get(f"{office.page}{DELIVERIES}")
    assert find(chromium, "footer .zone").text not in ("", "Etc/GMT+11")
    chromium.execute_script("localStorage.removeItem('timezone')")


REFRESH = "document.dispatchEvent(new Event('toggl-refresh'))"
"""Refreshes the page without waiting for its turn."""


def test_the_page_refreshes_itself_unless_it_is_paused_and_keeps_what_somebody_has_open(
    office: PageSetup, chromium: Chrome
) -> None:
    sign_in(chromium, office.home.url, "viewer")
    chromium.get(f"{office.page}/")
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
    chromium.get(f"{office.page}/c/toggl_default")
    assert find(chromium, "#refresh").text == "Auto-refresh: off"
    chromium.execute_script("localStorage.setItem('toggl-auto-refresh', 'on')")
    chromium.get(f"{office.page}/c/toggl_default")
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


def test_a_form_of_another_site_or_person_is_not_taken(office: PageSetup, http: requests.Session) -> None:
    operator = office.sign_in(http, "operator")
    url = f"{office.page}/c/toggl_default/act/allow-mass-absence"
    token = re.findall(r'name="token" value="(\w+)"', http.get(url, headers=operator, timeout=30).text)[0]
    form = {"token": token, "workspace": "1"}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        assert http.post(url, headers=operator | headers, data=form, timeout=30).status_code == 403
    assert http.post(url, headers=operator, data=form | {"token": "0" * 64}, timeout=30).status_code == 403
    other = url.replace("allow-mass-absence", "ping")
    assert http.post(other, headers=operator, data=form, timeout=30).status_code == 403


def test_the_terminal_shows_the_same_health_with_no_component_asked(office: PageSetup) -> None:
    found = json.loads(office.home.cli("toggl", "status", "--json").splitlines()[-1])
    assert found["conn_id"] == "toggl_default"
    assert found["reconciled"][0]["entries"] == 48_213
    assert {one["stream"] for one in found["streams"]} == {"time_entries", "projects", "clients"}
