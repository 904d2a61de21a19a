from __future__ import annotations

import pytest

from airflow_provider_toggl.core.client.addresses import DEFAULT_BASE_URL, check_base_url, check_callback_url
from airflow_provider_toggl.core.errors import ConfigurationError

TOKEN = "1971800d4d82861d8f2c1651fea4d212"


WRITTEN: list[tuple[dict[str, object], str]] = [
    ({"url": " https://track.example\n"}, "https://track.example"),
    ({"url": "https://track.example/"}, "https://track.example"),
    ({"url": "https://track.example:8443", "port": 8443}, "https://track.example:8443"),
    ({"url": "https://track.example", "port": 8443}, "https://track.example:8443"),
    ({"url": "http://127.0.0.1", "port": 8765}, "http://127.0.0.1:8765"),
    ({"url": "https://track.example", "port": 0}, "https://track.example"),
    ({"url": None}, DEFAULT_BASE_URL),
    ({"url": None, "port": 443}, DEFAULT_BASE_URL),
    ({"url": "http://10.0.0.1:8765", "allow_plain_http": True}, "http://10.0.0.1:8765"),
    ({"url": "http://127.9.9.9"}, "http://127.9.9.9"),
    ({"url": "http://localhost:8765"}, "http://localhost:8765"),
    ({"url": "localhost", "port": 8765, "scheme": "http"}, "http://localhost:8765"),
    ({"url": "track.example", "port": 8443}, "https://track.example:8443"),
    ({"url": "", "port": 0, "scheme": "https"}, DEFAULT_BASE_URL),
    ({"url": "::1", "port": 8765, "scheme": "http"}, "http://[::1]:8765"),
    ({"url": "[::1]:8765", "scheme": "http"}, "http://[::1]:8765"),
    ({"url": "http://[::1]:8765/"}, "http://[::1]:8765"),
    ({"url": "2001:db8::7"}, "https://[2001:db8::7]"),
    ({"url": "[2001:db8::7]:8443"}, "https://[2001:db8::7]:8443"),
    ({"url": "https://api.track.toggl.com/api/v9"}, "https://api.track.toggl.com"),
    ({"url": "https://api.track.toggl.com/api/v9/"}, "https://api.track.toggl.com"),
    ({"url": "https://api.track.toggl.com/api/v9/me"}, "https://api.track.toggl.com"),
    ({"url": "https://api.track.toggl.com/reports/api/v3"}, "https://api.track.toggl.com"),
    ({"url": "api.track.toggl.com/api/v9"}, "https://api.track.toggl.com"),
    ({"url": "https://gateway.example/toggl/"}, "https://gateway.example/toggl"),
    ({"url": "https://gateway.example/toggl/api/v9/"}, "https://gateway.example/toggl"),
    ({"url": "HTTPS://Track.Example"}, "https://track.example"),
]


@pytest.mark.parametrize(("given", "url"), WRITTEN)
def test_a_base_url_is_normalized(given: dict[str, object], url: str) -> None:
    assert check_base_url(**given) == url  # type: ignore[arg-type]


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"url": "127.0.0.1:8765"}, r"host is '127\.0\.0\.1:8765', without http:// or https://"),
    ({"url": "localhost", "port": 8765}, "without http:// or https://"),
    ({"url": "::1"}, "without http:// or https://"),
    ({"url": "https://a.example:1", "port": 2}, "two ports: 1 in its host and 2 in its port"),
    ({"url": "https://a.example", "port": 70000}, "port is 70000; it must be from 1 to 65535"),
    ({"url": "https://a.example", "port": -1}, "port is -1"),
    ({"url": "https://a.example:0"}, "port is 0"),
    ({"url": "https://a.example:port"}, "host must be a web address"),
    ({"url": None, "port": 8765}, "has port 8765 and no host"),
    ({"url": "a.example", "scheme": "toggl"}, "schema is 'toggl'; it must be https, http or empty"),
    ({"url": "https:/a.example"}, "host must be a web address"),
    ({"url": "https://exa mple.com"}, "host must be a web address"),
    ({"url": "https://exa\nmple.com"}, "host must be a web address"),
    ({"url": "https:\\\\a.example"}, "host must be a web address"),
    ({"url": "https://a..example"}, "host must be a web address"),
    ({"url": "https://[::1"}, "host must be a web address"),
    ({"url": "duckdb:///x"}, "host must be a web address"),
    ({"url": "https://a.example?x=1"}, "no query"),
    ({"url": "https://a.example#x"}, "no query"),
    ({"url": "https://me:secret@a.example"}, "no credentials"),
    ({"url": f"https://{TOKEN}@a.example"}, "no credentials"),
    ({"url": "ftp://a.example"}, "host must be a web address"),
    ({"url": "https://"}, "host must be a web address"),
    *(({"url": f"http://{host}"}, "unencrypted") for host in ("a.example", "10.0.0.1:1", "0.0.0.0", "127.example")),
    *(({"url": f"http://{host}.example"}, "unencrypted") for host in ("127.0.0.1", "localhost")),
]


@pytest.mark.parametrize(("given", "words"), REFUSED)
def test_an_invalid_base_url_is_refused_with_the_reason(given: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        check_base_url(**given)  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)
    assert TOKEN not in str(caught.value)


def check_callback(url: str, *, allow_plain_http: bool = False) -> str:
    return check_callback_url(url, default_path="/hooks", allow_plain_http=allow_plain_http)


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("https://airflow.example", "https://airflow.example/hooks"),
        ("https://airflow.example/", "https://airflow.example/hooks"),
        ("https://airflow.example:8443/x?y=1", "https://airflow.example:8443/x?y=1"),
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090/hooks"),
    ],
)
def test_a_callback_without_a_path_gets_the_default_one(url: str, checked: str) -> None:
    assert check_callback(url) == checked


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("airflow.example", "must be a web address"),
        ("ftp://airflow.example", "must be a web address"),
        ("https://airflow.example:port", "must be a web address"),
        ("https://me@airflow.example", "no credentials"),
        ("https://:pass@airflow.example", "no credentials"),
        ("https://airflow.example#x", "no credentials"),
        ("http://airflow.example", "unencrypted"),
    ],
)
def test_an_invalid_callback_is_refused(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        check_callback(url)


def test_a_callback_may_be_unencrypted_in_a_network_of_one_s_own() -> None:
    assert check_callback("http://receiver:8090/x", allow_plain_http=True) == "http://receiver:8090/x"
