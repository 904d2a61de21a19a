"""The network seam: sends one request with the ``requests`` library and reads the whole response."""

from __future__ import annotations

import platform
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urljoin, urlsplit

from airflow_provider_toggl import __version__
from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.clock import Clock, SystemClock
from airflow_provider_toggl.core.errors import ConfigurationError, ConnectionTrouble

# Importing requests takes longer than importing all of this package. A scheduler that parses a DAG sends nothing, so
# the functions that send import it.
if TYPE_CHECKING:
    import requests

#: Seconds to connect, and seconds between two bytes of a response. Toggl takes a while for large reports.
TIMEOUTS = (10.0, 120.0)
MAX_REDIRECTS = 3


@dataclass(frozen=True)
class OutgoingRequest:
    """A request to send.

    :param path: path below the base URL.
    :param params: parameters of the query.
    :param payload: the body, sent as JSON; None for no body.
    """

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    # The payload of a subscription contains its secret.
    payload: Any = field(default=None, repr=False)


class NotSent(ConnectionTrouble):
    """The request cannot have reached Toggl, so any request may be sent again."""


class Transport(Protocol):
    """Sends requests."""

    def send(self, outgoing: OutgoingRequest) -> TogglResponse:
        """Send one request and read the whole response.

        :raises ConnectionTrouble: no whole response came; :class:`NotSent` if the request cannot have arrived.
        """


class RequestsTransport:
    """Sends with one ``requests.Session``, which checks TLS certificates and keeps connections open.

    :param base_url: where Toggl's API is.
    :param token: the API token.
    """

    def __init__(self, base_url: str, token: str, clock: Clock | None = None) -> None:
        self._base_url = base_url
        self._clock = clock or SystemClock()
        import requests  # noqa: PLC0415 - see above

        self._session = requests.Session()
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

    def send(self, outgoing: OutgoingRequest) -> TogglResponse:
        """Send one request and read the whole response. Redirects are followed only within the same host."""
        url = self._base_url + outgoing.path
        response = self._send_once(outgoing, url, outgoing.params)
        for _ in range(MAX_REDIRECTS):
            target = urljoin(url, response.headers.get("location", ""))
            follows = response.status in (307, 308) or (response.status in (301, 302, 303) and outgoing.method == "GET")
            if not follows or not self._is_same_host(target):
                break
            url = target
            response = self._send_once(outgoing, url, {})
        return response

    def close(self) -> None:
        """Close the open connections."""
        self._session.close()

    def _is_same_host(self, url: str) -> bool:
        ours, theirs = urlsplit(self._base_url), urlsplit(url)
        return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)

    def _send_once(self, outgoing: OutgoingRequest, url: str, params: Mapping[str, Any]) -> TogglResponse:
        from requests.exceptions import RequestException  # noqa: PLC0415 - see above

        method, path = outgoing.method, outgoing.path
        try:
            response = self._session.request(
                method, url, params=dict(params), json=outgoing.payload, timeout=TIMEOUTS, allow_redirects=False
            )
        except RequestException as error:
            if "WRONG_VERSION_NUMBER" in str(error) or "HTTP_REQUEST" in str(error):
                # The server answers without TLS, which no retry changes.
                raise ConfigurationError(
                    f"{urlsplit(self._base_url).netloc} does not answer in TLS: check host and port of the connection, "
                    "and write http:// before it only if it is a server without TLS, such as the sandbox."
                ) from None
            kind = NotSent if _was_never_sent(error) else ConnectionTrouble
            raise kind(f"{method} {path}: {self._describe_failure(error)}") from None
        if not _is_whole(response):
            raise ConnectionTrouble(f"{method} {path}: the response broke off in its headers.")
        return TogglResponse(
            method,
            path,
            response.status_code,
            {name.lower(): value for name, value in response.headers.items()},
            response.content,
            self._clock.now(),
        )

    def _describe_failure(self, error: requests.RequestException) -> str:
        from requests import exceptions  # noqa: PLC0415 - see above

        host = urlsplit(self._base_url).netloc
        # The name of the error, without the URL that requests puts into its texts.
        reason = type(_cause(error)).__name__
        if isinstance(error, exceptions.SSLError):
            return (
                f"the TLS connection to {host} was not trusted or broke ({reason}). Check host and port of the "
                "connection. If a proxy is in between, give its certificate in REQUESTS_CA_BUNDLE."
            )
        if isinstance(error, exceptions.ConnectTimeout | exceptions.ProxyError):
            return f"{host} could not be reached ({reason})."
        if isinstance(error, exceptions.ConnectionError):
            return f"the connection to {host} failed ({reason})."
        return f"{host} sent no complete response ({reason})."


def _was_never_sent(error: requests.RequestException) -> bool:
    """Return whether a request failed before its first byte was written: no connection, or an untrusted certificate."""
    from requests.exceptions import ConnectTimeout, ProxyError  # noqa: PLC0415 - see above
    from urllib3.exceptions import NewConnectionError  # noqa: PLC0415 - see above

    cause = _cause(error)
    certificate = cause.args[0] if cause.args else None
    return (
        isinstance(error, ConnectTimeout | ProxyError)
        or isinstance(cause, NewConnectionError)
        or isinstance(certificate, ssl.SSLCertVerificationError)
    )


def _is_whole(response: requests.Response) -> bool:
    """Return whether a 2xx response without a body was meant to have none.

    A connection that is cut within the headers looks like the end of a response without a length. Read as an empty
    list, it would say that everything is gone.
    """
    if response.content or response.status_code != 200 or response.request.method == "HEAD":
        return True
    return response.headers.get("content-length") == "0" or "transfer-encoding" in response.headers


def _cause(error: Exception) -> Exception:
    """Return the error of urllib3 that an error of requests wraps."""
    inner = error.args[0] if error.args else error
    inner = getattr(inner, "reason", None) or inner
    return inner if isinstance(inner, Exception) else error
