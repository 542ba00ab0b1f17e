"""Where within a value another may stand that a program takes out: the end of a path, a member's name, a query."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Parameters of an address that are looked at.
_PARAMETERS_MAX: Final = 16
#: What the engine puts before the name of a member, and the folders of a path.
_LEAD: Final = re.compile(rb"json\.(?:[\w$-]++\.)*+|/(?:[\w.~@+:%-]*+/(?!\*))*+")
_ADDRESS: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,15}://[^\s?]*+\?")


def places(value: bytes) -> Iterator[bytes]:
    """*value*, and the parts of it that may be values of their own. Linear in its length."""
    yield value
    lead = _LEAD.match(value)
    if lead is not None:
        yield value[lead.end() :]
        return
    address = _ADDRESS.match(value)
    if address is not None:
        for parameter in value[address.end() :].split(b"&", _PARAMETERS_MAX)[:_PARAMETERS_MAX]:
            yield parameter.partition(b"=")[2]
