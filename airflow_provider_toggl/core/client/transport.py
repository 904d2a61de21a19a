"""The seam to the network: one request out, one whole answer back, by requests."""

from __future__ import annotations

import ipaddress
import platform
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import SplitResult, urljoin, urlsplit

from airflow_provider_toggl import __version__
from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.clock import Clock, SystemClock
from airflow_provider_toggl.core.errors import ConfigurationError, ConnectionTrouble

# requests takes longer to import than all of this package, and a scheduler that parses a DAG sends nothing: it is
# imported by those who send.
if TYPE_CHECKING:
    import requests

DEFAULT_BASE_URL = "https://api.track.toggl.com"
#: What API tokens of Toggl 2.0 begin with.
TOGGL_2_PREFIX = "toggl_sk_"
#: Seconds to connect, and between two bytes of an answer; large reports take Toggl a while.
TIMEOUTS = (10.0, 120.0)
MAX_REDIRECTS = 3

_API_PATH = re.compile(r"((/reports|/webhooks)?/api(/v\d.*)?)?/*$", re.DOTALL)


@dataclass(frozen=True)
class OutgoingRequest:
    """One request: ``path`` below the base URL, ``params`` of the query, ``payload`` the JSON body or None."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    # A subscription's has its secret.
    payload: Any = field(default=None, repr=False)


class NotSent(ConnectionTrouble):
    """The request surely never reached Toggl, so any request may be tried again."""


class Transport(Protocol):
    """What can send."""

    def send(self, call: OutgoingRequest, departing: Callable[[], None]) -> TogglResponse:
        """Send one request and read the answer to its end.

        :param departing: called when the connection is open and the request is about to leave.
        :raises ConnectionTrouble: no whole answer came; :class:`NotSent` where the request surely did not arrive.
        """


def check_base_url(
    url: str | None, *, allow_plain_http: bool = False, port: int | None = None, scheme: str | None = None
) -> str:
    """Return a base URL without a trailing slash and without the path of an API, or Toggl's own.

    :param url: an address, or only the name or address of a host; then ``port`` and ``scheme`` may stand apart, as in
        an Airflow URI.
    :raises ConfigurationError: it is no web address, leaves the scheme open, carries credentials, or would send the
        token unencrypted over a network.
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
            f"http://{parts.hostname} would carry the API token in clear. Use https, or set allow_plain_http in the "
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
    # Requests bring the path of their API along.
    return f"{parts.scheme}://{netloc}{_API_PATH.sub('', parts.path)}"


def _with_scheme(text: str, scheme: str) -> str:
    """Return an address with its scheme: https unless another is given.

    :raises ConfigurationError: there is none, and the host is this machine, which may well have no TLS.
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


def refuse_toggl_2_token(token: str) -> None:
    """Refuse an API token of Toggl 2.0; one of Toggl Track is 32 hexadecimal digits.

    :raises ConfigurationError: it is one.
    """
    if token.strip().startswith(TOGGL_2_PREFIX):
        raise ConfigurationError(
            f"The connection's password is an API token of Toggl 2.0 (Focus): it begins with {TOGGL_2_PREFIX}. Toggl "
            "2.0 is another product with another API, and this package works with Toggl Track only. If you have a "
            "Toggl Track account, use the API token from the bottom of https://track.toggl.com/profile."
        )


def _split(url: str) -> SplitResult | None:
    """Return the parts of an address, None where it is none."""
    # urlsplit leaves out some characters without a word, and takes the host of https:/example for "https".
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
    """Whether what is sent there leaves no machine; a name that only looks like a number does not count."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class RequestsTransport:
    """Sends with one ``requests.Session``: TLS checked, connections kept, the token as Basic user name."""

    def __init__(self, base_url: str, token: str, clock: Clock | None = None) -> None:
        self._base_url = base_url
        self._clock = clock or SystemClock()
        import requests  # noqa: PLC0415 - see above

        from airflow_provider_toggl.core.client.connection_hooks import AnnouncingAdapter  # noqa: PLC0415 - imports requests

        self._session = requests.Session()
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, AnnouncingAdapter())
        # https://engineering.toggl.com/docs/authentication: the token is the user, the password the word api_token.
        self._session.auth = (token, "api_token")
        versions = f"python {platform.python_version()}; requests {requests.__version__}"
        self._session.headers.update(
            {
                "User-Agent": f"airflow-provider-toggl/{__version__} ({versions})",
                "Content-Type": "application/json",
                "Accept": "application/json",
            }
        )

    def send(self, call: OutgoingRequest, departing: Callable[[], None]) -> TogglResponse:
        """Send one request and read the answer to its end, following redirects only within the same host."""
        url = self._base_url + call.path
        answer = self._send_once(call, url, call.params, departing)
        for _ in range(MAX_REDIRECTS):
            target = urljoin(url, answer.headers.get("location", ""))
            follows = answer.status in (307, 308) or (answer.status in (301, 302, 303) and call.method == "GET")
            if not follows or not self._is_same_host(target):
                break
            url = target
            answer = self._send_once(call, url, {}, departing)
        return answer

    def close(self) -> None:
        """Close kept connections."""
        self._session.close()

    def _is_same_host(self, url: str) -> bool:
        ours, theirs = urlsplit(self._base_url), urlsplit(url)
        return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)

    def _send_once(
        self, call: OutgoingRequest, url: str, params: Mapping[str, Any], departing: Callable[[], None]
    ) -> TogglResponse:
        from requests.exceptions import RequestException  # noqa: PLC0415 - see above

        from airflow_provider_toggl.core.client.connection_hooks import watched  # noqa: PLC0415 - imports requests

        with watched(departing) as departure:
            try:
                response = self._session.request(
                    call.method, url, params=dict(params), json=call.payload, timeout=TIMEOUTS, allow_redirects=False
                )
            except RequestException as error:
                self._check_protocol(error)
                kind = ConnectionTrouble if departure.has_left else NotSent
                raise kind(f"{call.method} {call.path}: {self._what_failed(error)}") from None
        if not _is_whole(response):
            raise ConnectionTrouble(f"{call.method} {call.path}: the answer broke off in its headers.")
        return TogglResponse(
            call.method,
            call.path,
            response.status_code,
            {name.lower(): value for name, value in response.headers.items()},
            response.content,
            self._clock.now(),
        )

    def _check_protocol(self, error: requests.RequestException) -> None:
        """Return if trying again may help.

        :raises ConfigurationError: something answers there, but not in TLS.
        """
        if "WRONG_VERSION_NUMBER" in str(error) or "HTTP_REQUEST" in str(error):
            raise ConfigurationError(
                f"{urlsplit(self._base_url).netloc} does not answer in TLS: check host and port of the connection, and "
                "write http:// before it only if it is a server without TLS, such as the sandbox."
            )

    def _what_failed(self, error: requests.RequestException) -> str:
        from requests import exceptions  # noqa: PLC0415 - see above

        host, reason = urlsplit(self._base_url).netloc, _reason(error)
        if isinstance(error, exceptions.SSLError):
            return (
                f"the TLS connection to {host} was not trusted or broke ({reason}). Check host and port of the "
                "connection. If a proxy is in between, give its certificate in REQUESTS_CA_BUNDLE."
            )
        if isinstance(error, exceptions.ConnectTimeout | exceptions.ProxyError):
            return f"{host} could not be reached ({reason})."
        if isinstance(error, exceptions.ConnectionError):
            return f"the connection to {host} failed ({reason})."
        return f"no whole answer came from {host} ({reason})."


def _is_whole(response: requests.Response) -> bool:
    """Whether a good answer without a body was meant to have none.

    A connection that is cut within the headers looks like the end of an answer that tells no length; taken for an
    empty list, it would say that all is gone.
    """
    if response.content or response.status_code != 200 or response.request.method == "HEAD":
        return True
    return response.headers.get("content-length") == "0" or "transfer-encoding" in response.headers


def _reason(error: Exception) -> str:
    """Return what went wrong without the URL that requests puts into its texts."""
    inner = error.args[0] if error.args else error
    inner = getattr(inner, "reason", None) or inner
    return type(inner).__name__ if isinstance(inner, Exception) else type(error).__name__
