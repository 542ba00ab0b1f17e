"""Which operation a request is, and which object it is about: what profiles go by instead of paths."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote_plus

#: How much of a path is looked at, and how much of what is made of it is kept.
PATH_CHARS_MAX: Final = 500
CHARS_MAX: Final = 120
#: Characters of a query that are looked at.
_QUERY_CHARS_MAX: Final = 2_000

#: A whole segment that names an object and is no version: digits, hexadecimal, a word with digits, or long.
_OBJECT: Final = re.compile(
    r"(?<=/)(?!v[0-9]{1,3}(?:/|$))"
    r"(?:[0-9]+|[0-9a-fA-F-]{8,}|(?=[^/]*[0-9])(?:[A-Za-z]+[_-][A-Za-z0-9]+|[^/]{8,})|[^/]{32,})(?=/|$)"
)
_QUERY_ID: Final = re.compile(r"(?:^|&)(id|[A-Za-z0-9_.-]{0,30}(?:[_.-]id|Id|ID))=([^&]{1,200})")
_NUMBER: Final = re.compile(r"([0-9]{1,15})[^0-9]{0,4}$")


class Route(NamedTuple):
    """What one request asks for."""

    #: Method and template, such as ``GET /v1/files/{}``.
    label: str
    #: What fills the template; empty where nothing does.
    object: str


def route_of(method: str, path: str, query: str, template: str) -> Route:
    """The route of a request; *template* is its path's, empty where nobody knows it."""
    method = "GET" if method == "HEAD" else method[:16]
    path = path[:PATH_CHARS_MAX]
    if template:
        shape, found = template, _filling(template, path)
    else:
        objects = _OBJECT.findall(path)
        shape, found = (_OBJECT.sub("{}", path), "/".join(objects)) if objects else (path, "")
    if query and not found and (named := _QUERY_ID.search(query[:_QUERY_CHARS_MAX])) is not None:
        return Route(f"{method} {shape[:CHARS_MAX]}?{named[1]}", unquote_plus(named[2])[:CHARS_MAX])
    return Route(f"{method} {shape[:CHARS_MAX]}", found[:CHARS_MAX])


def _filling(template: str, path: str) -> str:
    """What stands in *path* in place of the template's parameters."""
    if "{" not in template:
        return ""
    pairs = zip(template.split("/"), path.split("/"), strict=False)
    return "/".join([have for want, have in pairs if "{" in want])


def number_of(identifier: str) -> int:
    """The number at the end of an identifier, such as 123 for ``order-0123``; -1 where there is none."""
    if len(identifier) > 40 or identifier.count("-") >= 4:  # a UUID, or a hash
        return -1
    match = _NUMBER.search(identifier)
    return int(match[1]) if match is not None else -1
