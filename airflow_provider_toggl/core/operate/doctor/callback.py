"""Whether deliveries arrive, with the right signature, at a receiver that keeps them where they are read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_provider_toggl.core.operate.findings import Finding, fine, skipped, trouble

_STATUS = re.compile(r"responded with status\D*(\d{3})", re.IGNORECASE)
_OF_STATUS = {401: "wrong_secret", 404: "unknown_connection", 405: "callback_refused", 503: "receiver_cannot_store"}


@dataclass(frozen=True)
class ProbeResult:
    """A signed PING that was posted to the callback from here.

    :param status: what was answered, None where nothing was.
    :param error: why nothing was.
    :param is_kept: whether its mark came into the store that is read here; None where that was not looked for.
    """

    status: int | None
    error: str = ""
    is_kept: bool | None = None


@dataclass(frozen=True)
class TogglPing:
    """A PING that Toggl was asked to post.

    :param arrived: whether its mark came into the store that is read here, signed rightly.
    :param refusal: what Toggl says of the callback where it did not.
    """

    arrived: bool
    refusal: str = ""


def check_callback(url: str, knock: ProbeResult | None, pinged: TogglPing | None) -> list[Finding]:
    """Return whether deliveries arrive.

    :param url: the callback, without its query.
    :param knock: None where there was no secret to sign it with, or no address.
    :param pinged: None where Toggl was not asked.
    """
    if pinged is not None and pinged.arrived:
        from_here = "" if knock is None or knock.status == 200 else f" (not from here: {_words(knock)})"
        return [fine("callback", f"Toggl's PING arrived at {url} with a right signature and was kept{from_here}.")]
    if knock is not None and knock.status != 200:
        return [_judge_knock(url, knock)]
    if knock is not None and knock.is_kept is False:
        return [trouble("other_store", f"{url} took a signed PING from here; nothing of it is in the store read here.")]
    if pinged is not None:
        return [_judge_refusal(url, pinged.refusal)]
    if knock is None:
        return [skipped("callback", "There is no webhook secret, or no address to try.")]
    return [fine("callback", f"{url} took a PING that was signed here; Toggl was not asked for one.")]


def _judge_knock(url: str, knock: ProbeResult) -> Finding:
    if knock.status is None:
        return trouble("callback_unreachable", f"{url} cannot be reached from here: {knock.error}.")
    name = _OF_STATUS.get(knock.status, "callback_refused")
    return trouble(name, f"{url} answered {knock.status} to a PING that was signed here with the connection's secret.")


def _judge_refusal(url: str, said: str) -> Finding:
    """Return why Toggl's PING did not come, where one from here did."""
    status = _STATUS.search(said)
    if status:
        name = _OF_STATUS.get(int(status[1]), "callback_refused")
        return trouble(name, f"{url} takes a PING that is signed here, and refuses Toggl's. Toggl says: {said}.")
    if "failed" in said.lower():
        return trouble("callback_unreachable", f"{url} can be reached from here, not from Toggl, which says: {said}.")
    return trouble("ping_lost", f"{url} can be reached from here; the PING that Toggl was asked for did not come.")


def _words(knock: ProbeResult) -> str:
    return f"answered {knock.status}" if knock.status is not None else knock.error
