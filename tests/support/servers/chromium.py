"""A headless Chromium with a profile of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

FLAGS = (
    "--headless",
    "--no-sandbox",  # the sandbox refuses to run as root, which containers do
    "--disable-dev-shm-usage",  # containers have a small /dev/shm
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,1800",
)

T = TypeVar("T")


def find_chromium() -> tuple[str, str] | None:
    """Return the paths of the browser and of its driver, or ``None`` where one of them is missing."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@contextmanager
def open_chromium(profile: Path) -> Iterator[Chrome]:
    """Yield the browser, and close it afterwards.

    Without Chromium the test is skipped; with ``REQUIRE_BROWSER=1`` it fails.

    :param profile: a new directory for what the browser stores.
    """
    found = find_chromium()
    if found is None:
        message = "this machine has no Chromium with chromedriver: apt-get install chromium chromium-driver"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    options = ChromeOptions()
    options.binary_location = found[0]
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    chrome = Chrome(options=options, service=ChromeService(found[1]))
    try:
        yield chrome
    finally:
        chrome.quit()


def find(chrome: Chrome, selector: str) -> WebElement:
    """Wait until an element is visible, and return it."""

    def visible(chrome: Chrome) -> WebElement | None:
        element = chrome.find_element(By.CSS_SELECTOR, selector)
        return element if element.is_displayed() else None

    element = wait_until(chrome, visible, f"{selector} to be visible")
    assert element is not None
    return element


def wait_until(chrome: Chrome, condition: Callable[[Chrome], T], what: str, timeout: float = 30) -> T:
    """Wait until a condition holds, and return its result; errors of a changing page count as not yet.

    :param what: a description for the error.
    :param timeout: in seconds.
    """
    patience = WebDriverWait(chrome, timeout, poll_frequency=0.1, ignored_exceptions=[WebDriverException])
    return patience.until(condition, f"waited for {what}")
