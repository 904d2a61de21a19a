"""Whether a delivery is Toggl's: an HMAC over the bytes as they came, never over what was made of them.

Header and example: engineering.toggl.com/docs/webhooks_start/validating_received_events.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence

from airflow_provider_toggl.core.errors import DeliveryRefused

OPTIONAL_SPACE = b" \t"
"""What may stand around a header's value."""

HEADER = "X-Webhook-Signature-256"

_FORM = re.compile(rb"sha256=([0-9A-Fa-f]{64})")


def verify(secrets: Sequence[str], body: bytes, header_values: Sequence[bytes | str]) -> None:
    """Return when one of the secrets signed these bytes.

    :param secrets: all that are live, as the current and the previous one; an empty one verifies nothing.
    :param header_values: every value of the signature header that the request has.
    :raises DeliveryRefused: it has no signature, several, none of this form, or a wrong one.
    """
    if not is_signed(secrets, body, parse_signature(header_values)):
        raise wrong_signature()


def parse_signature(header_values: Sequence[bytes | str]) -> bytes:
    """Return the 32 bytes that the header says; needs no body, so it can be asked before one is read.

    :raises DeliveryRefused: there is no header (401), or more than one, or it has another form (400).
    """
    if not header_values:
        raise DeliveryRefused(f"There is no {HEADER} header.", outcome="unsigned", status=401)
    if len(header_values) > 1:
        raise _malformed(f"There are {len(header_values)} {HEADER} headers; which one counts cannot be told.")
    value = header_values[0]
    # Header bytes are Latin-1 by RFC 9110; what cannot be such has not the form either. Blanks and tabs around a value
    # are no part of it (5.5), and some servers pass them on.
    value = value if isinstance(value, bytes) else value.encode("latin-1", "replace")
    found = _FORM.fullmatch(value.strip(OPTIONAL_SPACE))
    if found is None:
        raise _malformed(f"The {HEADER} header is not sha256= and 64 hexadecimal digits.")
    return bytes.fromhex(found[1].decode())


def is_signed(secrets: Sequence[str], body: bytes, signature: bytes) -> bool:
    """Return whether one of the secrets signed these bytes; takes as long whichever it is."""
    matches = 0
    for secret in secrets:
        if secret:
            # A secret may come from JSON with half a surrogate pair; it is wrong then, but no reason to break.
            key = secret.encode("utf-8", "surrogatepass")
            matches += hmac.compare_digest(hmac.digest(key, body, "sha256"), signature)
    return matches > 0


def sign(secret: str, body: bytes) -> str:
    """Return the header value by which ``verify`` knows that the secret signed these bytes."""
    return "sha256=" + hmac.digest(secret.encode("utf-8", "surrogatepass"), body, "sha256").hex()


def wrong_signature() -> DeliveryRefused:
    """Return the refusal of a delivery that none of the secrets signed."""
    return DeliveryRefused(
        "No live secret of the connection signed these bytes: the subscription has another secret, something on the "
        "way changed the body, or the sender is not Toggl.",
        outcome="wrong_signature",
        status=401,
    )


def _malformed(message: str) -> DeliveryRefused:
    return DeliveryRefused(message, outcome="malformed_signature", status=400)
