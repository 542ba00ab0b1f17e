"""``@detectSQLi``: does a value, put where a program puts its users' input, go on as SQL?"""

from __future__ import annotations


def detect_sqli(value: bytes) -> bytes | None:
    """The shape of the SQL that *value* injects, such as ``s&1o1``, or None. Linear in the length of *value*."""
    raise NotImplementedError(value)
