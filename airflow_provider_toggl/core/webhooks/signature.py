"""Verify a delivery's signature: an HMAC-SHA256 over the bytes of the body as they arrived.

Header and example: engineering.toggl.com/docs/webhooks_start/validating_received_events.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence

from airflow_provider_toggl.core.webhooks.delivery import MALFORMED_SIGNATURE, OPTIONAL_SPACE, UNSIGNED, refusal

HEADER = "X-Webhook-Signature-256"

_FORM = re.compile(rb"sha256=([0-9A-Fa-f]{64})")


def parse_signature(header_values: Sequence[bytes | str]) -> bytes:
    """Return the 32 bytes of the signature header. Needs no body, so it can run before the body is read.

    :raises DeliveryRefused: the header is missing (401), or repeated or malformed (400).
    """
    if not header_values:
        raise refusal(UNSIGNED, f"There is no {HEADER} header.")
    if len(header_values) > 1:
        raise refusal(MALFORMED_SIGNATURE, f"There are {len(header_values)} {HEADER} headers, and only one is allowed.")
    value = header_values[0]
    # Header bytes are Latin-1 (RFC 9110). A value with other characters cannot have the right form.
    value = value if isinstance(value, bytes) else value.encode("latin-1", "replace")
    found = _FORM.fullmatch(value.strip(OPTIONAL_SPACE))
    if found is None:
        raise refusal(MALFORMED_SIGNATURE, f"The {HEADER} header is not sha256= and 64 hexadecimal digits.")
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
