"""Credentials in one spelling: a client that may write one key in many ways would have as many limits."""

from __future__ import annotations

import binascii  # base64 without a module of its own


def canonical(value: str) -> str:
    """The field value of Authorization *value* as all of its spellings share it.

    The name of the scheme is case-insensitive and any space may follow it (RFC 9110 §11.1, §11.4); what is no base64 in
    Basic credentials is skipped by most decoders.
    """
    scheme, _, token = value.strip().replace("\t", " ").partition(" ")
    if not token:
        return scheme
    scheme, token = scheme.lower(), token.strip()
    pair = user_and_password(token) if scheme == "basic" else None
    if pair is not None:
        token = binascii.b2a_base64(pair, newline=False).decode("ascii")
    return f"{scheme} {token}"


def user_and_password(token: str) -> bytes | None:
    """What Basic credentials hold (RFC 7617 §2), as forgiving as decoders are; None if that is nothing."""
    try:
        return binascii.a2b_base64(token)
    except ValueError:
        return None
