"""Verify a delivery's signature: an HMAC-SHA256 over the bytes of the body as they arrived.

Header and example: engineering.toggl.com/docs/webhooks_start/validating_received_events.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence

from airflow_provider_toggl.core.errors import DeliveryRefused

OPTIONAL_SPACE = b" \t"
"""Bytes that may surround a header's value (RFC 9110, 5.5); some servers pass them on."""

HEADER = "X-Webhook-Signature-256"

_FORM = re.compile(rb"sha256=([0-9A-Fa-f]{64})")


def parse_signature(header_values: Sequence[bytes | str]) -> bytes:
    """Return the 32 bytes of the signature header. Needs no body, so it can run before the body is read.

    :raises DeliveryRefused: the header is missing (401), or repeated or malformed (400).
    """
    if not header_values:
        raise DeliveryRefused(f"There is no {HEADER} header.", outcome="unsigned", status=401)
    if len(header_values) > 1:
        raise _malformed(f"There are {len(header_values)} {HEADER} headers, and only one is allowed.")
    value = header_values[0]
    # Header bytes are Latin-1 (RFC 9110). A value with other characters cannot have the right form.
    value = value if isinstance(value, bytes) else value.encode("latin-1", "replace")
    found = _FORM.fullmatch(value.strip(OPTIONAL_SPACE))
    if found is None:
        raise _malformed(f"The {HEADER} header is not sha256= and 64 hexadecimal digits.")
    return bytes.fromhex(found[1].decode())


def is_signed(secrets: Sequence[str], body: bytes, signature: bytes) -> bool:
    """Return whether one of the secrets signed the body. The time taken does not depend on which one did."""
    matches = 0
    for secret in secrets:
        if secret:
            # JSON can hold half a surrogate pair. Such a secret matches nothing, and must not raise.
            key = secret.encode("utf-8", "surrogatepass")
            matches += hmac.compare_digest(hmac.digest(key, body, "sha256"), signature)
    return matches > 0


def sign(secret: str, body: bytes) -> str:
    """Return the value of the signature header for a body."""
    return "sha256=" + hmac.digest(secret.encode("utf-8", "surrogatepass"), body, "sha256").hex()


def wrong_signature() -> DeliveryRefused:
    """Return the error for a body that none of the secrets signed."""
    return DeliveryRefused(
        "None of the connection's webhook secrets signed the body: the subscription has another secret, a proxy "
        "changed the body, or the sender is not Toggl.",
        outcome="wrong_signature",
        status=401,
    )


def _malformed(message: str) -> DeliveryRefused:
    return DeliveryRefused(message, outcome="malformed_signature", status=400)
