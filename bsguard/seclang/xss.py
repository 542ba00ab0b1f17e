"""``@detectXSS``: does a value, put into a page, make a browser run script?"""

from __future__ import annotations


def detect_xss(value: bytes) -> bool:
    """Whether *value* holds a tag, attribute or address that runs script. Linear in the length of *value*."""
    raise NotImplementedError(value)
