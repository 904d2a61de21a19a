from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from support.airflow_home import AirflowHome
from support.repository import keep_for_the_docs
from support.servers.chromium import find, wait_until

from airflow_provider_toggl.get_provider_info import get_provider_info

# One group: both tests share the API server and the browser, so one test process runs them.
pytestmark = [
    pytest.mark.airflow,
    pytest.mark.newest,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.xdist_group("connection_form"),
]

CONNECTION_TYPE = get_provider_info()["connection-types"][0]
FIELDS: dict[str, dict[str, Any]] = CONNECTION_TYPE["conn-fields"]
BEHAVIOUR = CONNECTION_TYPE["ui-field-behaviour"]

# The form of Airflow 3.2 knows no password fields among the extra ones, whatever their format says.
FORM_HIDES_EXTRAS = tuple(map(int, version("apache-airflow-core").split(".")[:2])) >= (3, 3)

TYPED = {
    "workspace_id": 4502339761,
    "organization_id": 9011,
    "webhook_secret": "the secret",
    "previous_webhook_secret": "the one before",
    "webhook_callback_url": "https://example.com/toggl/webhooks/toggl_default",
    "event_store_conn_id": "events",
    "quota_reserve": 5,
    "requests_per_second": 0.5,
}
SECRETS = ["an API token", "the secret", "the one before"]


@pytest.fixture(scope="module")
def home(chromium: Chrome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowHome]:
    with AirflowHome(tmp_path_factory.mktemp("airflow")) as airflow:
        airflow.start("api-server")
        yield airflow


def click(chrome: Chrome, xpath: str) -> None:
    def try_it(chrome: Chrome) -> bool:
        chrome.find_element(By.XPATH, xpath).click()
        return True

    wait_until(chrome, try_it, f"{xpath} to take a click")


def open_form(chrome: Chrome, url: str, conn_id: str) -> None:
    """Go to the list of connections, add one, and choose its type."""
    chrome.get(f"{url}/connections")
    click(chrome, "//button[contains(., 'Add Connection')]")
    find(chrome, "[role=dialog] input[name=connection_id]").send_keys(conn_id)
    find(chrome, "[role=dialog] input[role=combobox]").send_keys("Toggl")
    click(chrome, "//*[@role='option'][normalize-space()='Toggl Track']")
    find(chrome, "[role=dialog] input[name=password]")


def field(chrome: Chrome, name: str) -> WebElement:
    return chrome.find_element(By.CSS_SELECTOR, f"[role=dialog] [name='{name}']")


def text_beside(element: WebElement, part: str) -> str:
    """Return the label or the help text of the group that an input is in."""
    group = "ancestor::*[.//label[@data-scope='field']][1]"
    found = element.find_element(By.XPATH, f"{group}//*[@data-scope='field'][@data-part='{part}']")
    return (found.get_attribute("textContent") or "").strip()


def check_standard_fields(chrome: Chrome) -> None:
    for name, label in BEHAVIOUR["relabeling"].items():
        assert text_beside(field(chrome, name), "label") == label
    for name, placeholder in BEHAVIOUR["placeholders"].items():
        assert field(chrome, name).get_attribute("placeholder") == placeholder
    assert field(chrome, "password").get_attribute("type") == "password"
    names = {e.get_attribute("name") for e in chrome.find_elements(By.CSS_SELECTOR, "[role=dialog] [name]")}
    assert names.isdisjoint(BEHAVIOUR["hidden-fields"])


def check_extra_fields(chrome: Chrome) -> None:
    for name, declared in FIELDS.items():
        element = field(chrome, f"element_{name}")
        assert text_beside(element, "label") == declared["label"]
        assert text_beside(element, "helper-text") == declared["description"]
        is_hidden = element.get_attribute("type") == "password"
        assert is_hidden == (FORM_HIDES_EXTRAS and declared["schema"].get("format") == "password"), name
        if isinstance(declared["schema"].get("default"), int) and "integer" in declared["schema"]["type"]:
            assert element.get_attribute("value") == str(declared["schema"]["default"])


def fill_in(chrome: Chrome) -> None:
    field(chrome, "host").send_keys("https://toggl.example.com")
    field(chrome, "password").send_keys("an API token")
    click(chrome, "//button[normalize-space()='Extra Fields']")
    for name, value in TYPED.items():
        element = find(chrome, f"[role=dialog] [name=element_{name}]")
        element.send_keys(Keys.CONTROL, "a")  # clear() is undone by the page
        element.send_keys(str(value))
        assert element.get_attribute("value") == str(value)


def save(chrome: Chrome) -> None:
    click(chrome, "//*[@role='dialog']//button[normalize-space()='Save']")
    wait_until(chrome, lambda chrome: not chrome.find_elements(By.NAME, "connection_id"), "the form to close")


def test_a_person_fills_in_the_form_and_the_connection_is_what_they_typed(
    home: AirflowHome, chromium: Chrome, tmp_path: Path
) -> None:
    open_form(chromium, home.url, "toggl_default")
    check_standard_fields(chromium)
    check_extra_fields(chromium)
    fill_in(chromium)
    find(chromium, "[role=dialog]").screenshot(str(tmp_path / "filled-in.png"))
    keep_for_the_docs(tmp_path / "filled-in.png", "connection-form.png")
    save(chromium)

    shown = home.api("GET", "/connections/toggl_default")
    assert (shown["conn_type"], shown["host"]) == ("toggl", "https://toggl.example.com")
    assert [secret for secret in SECRETS if secret in json.dumps(shown)] == []
    assert json.loads(shown["extra"]) == TYPED | {
        "allow_plain_http": False,
        "pace_scope": "token",
        "webhook_secret": "***",
        "previous_webhook_secret": "***",
    }
    with closing(sqlite3.connect(home.path / "airflow.db")) as db:
        (stored,) = db.execute("select password, extra from connection where conn_id = 'toggl_default'").fetchall()
    fernet = Fernet(home.env["AIRFLOW__CORE__FERNET_KEY"])
    password, extra = (fernet.decrypt(value).decode() for value in stored)
    secrets = json.loads(extra)
    assert [password, secrets["webhook_secret"], secrets["previous_webhook_secret"]] == SECRETS


def test_the_token_alone_is_enough_and_what_is_left_empty_is_nothing_or_its_default(
    home: AirflowHome, chromium: Chrome
) -> None:
    open_form(chromium, home.url, "toggl_minimal")
    field(chromium, "password").send_keys("an API token")
    save(chromium)

    shown = home.api("GET", "/connections/toggl_minimal")
    extra = json.loads(shown["extra"] or "{}")
    defaults = {"quota_reserve": 2, "requests_per_second": 1, "pace_scope": "token", "allow_plain_http": False}
    assert {name: value for name, value in extra.items() if value not in (None, "")}.items() <= defaults.items()
    assert not shown["host"]
