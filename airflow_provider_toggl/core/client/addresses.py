"""Web addresses in a Toggl connection: the base URL of requests, and the callback of webhooks. No I/O."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit, urlunsplit

from airflow_provider_toggl.core.errors import ConfigurationError

DEFAULT_BASE_URL = "https://api.track.toggl.com"

_API_PATH = re.compile(r"((/reports|/webhooks)?/api(/v\d.*)?)?/*$", re.DOTALL)


def check_base_url(
    url: str | None, *, allow_plain_http: bool = False, port: int | None = None, scheme: str | None = None
) -> str:
    """Return the base URL of requests, without a trailing slash and without the path of an API.

    :param url: a URL, or the name or IP address of a host; empty for Toggl's own.
    :param port: the port, if it is not part of the URL. Likewise ``scheme``.
    :raises ConfigurationError: it is no web address, has no scheme where that is ambiguous, carries credentials, or
        would send the token unencrypted over a network.
    """
    text, scheme = (url or "").strip(), (scheme or "").strip().lower()
    if scheme not in ("", "http", "https"):
        raise ConfigurationError(f"The connection's schema is {scheme!r}; it must be https, http or empty.")
    if not text:
        if port not in (None, 0, 443):
            raise ConfigurationError(f"The connection has port {port} and no host: put the base URL into its host.")
        return DEFAULT_BASE_URL
    parts = _split(_with_scheme(text, scheme))
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            "The connection's host must be a web address such as https://api.track.toggl.com, or empty."
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError(
            "The connection's host must have no credentials and no query in it; the token is the password."
        )
    local = _is_this_machine(parts.hostname)
    if parts.scheme == "http" and not local and not allow_plain_http:
        raise ConfigurationError(
            f"http://{parts.hostname} would send the API token unencrypted. Use https, or set allow_plain_http in the "
            "connection's extra if that network is yours."
        )
    own_port = parts.port
    if own_port and port and own_port != port:
        raise ConfigurationError(
            f"The connection has two ports: {own_port} in its host and {port} in its port. Remove one."
        )
    number = own_port or port or None
    if own_port == 0 or (number is not None and not 1 <= number <= 65535):
        raise ConfigurationError(f"The connection's port is {number or 0}; it must be from 1 to 65535, or empty.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    netloc = host if number is None else f"{host}:{number}"
    # Each request adds the path of its API.
    return f"{parts.scheme}://{netloc}{_API_PATH.sub('', parts.path)}"


def _with_scheme(text: str, scheme: str) -> str:
    """Return an address with its scheme, https by default.

    :raises ConfigurationError: the host is this machine, which may have no TLS, and no scheme is given.
    """
    if "://" in text:
        return text
    with suppress(ValueError):
        text = f"[{text}]" if ipaddress.ip_address(text).version == 6 else text
    if scheme:
        return f"{scheme}://{text}"
    parts = _split(f"https://{text}")
    if parts is not None and _is_this_machine(parts.hostname or ""):
        raise ConfigurationError(
            f"The connection's host is {text!r}, without http:// or https://. Write one of them before it, for "
            f"example http://{text}."
        )
    return f"https://{text}"


def check_callback_url(url: str, *, default_path: str, allow_plain_http: bool = False) -> str:
    """Return the callback URL of a webhook subscription.

    :param default_path: added to a URL without a path.
    :raises ConfigurationError: it is no web address, carries credentials, or would deliver unencrypted over a network.
    """
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError("The callback must be a web address, such as https://airflow.example.org.")
    if parts.username or parts.password or parts.fragment:
        raise ConfigurationError(
            "The callback must have no credentials and no # in it. Deliveries are verified by webhook_secret."
        )
    if parts.scheme == "http" and not allow_plain_http and not _is_this_machine(parts.hostname):
        raise ConfigurationError(
            f"The callback http://{parts.hostname} would send events unencrypted. Use https, or set allow_plain_http "
            "in the connection's extra if that network is yours."
        )
    return urlunsplit(parts._replace(path=default_path) if parts.path in ("", "/") else parts)


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL, None if it is malformed."""
    # urlsplit silently drops some characters, and reads the host of https://https:/example as "https".
    if re.search(r"[\s\\\x00-\x1f]|^https?://https?:", url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError:
        return None
    return parts


def _is_this_machine(host: str) -> bool:
    """Return whether the host is this machine. A name that only looks like an IP address does not count."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
