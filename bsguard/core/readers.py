"""Readers of setting values. Each takes what an operator may write and returns the value, or raises ``Wanted``.

Values from the environment arrive as text, so a list may also be one comma-separated string, and a number or flag may
be its text. Nothing else is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, TypeVar

from bsguard.core.config import Wanted, nearest
from bsguard.core.grammar import HOST, TOKEN
from bsguard.core.networks import Networks
from bsguard.core.paths import PathPattern
from bsguard.core.surfaces import Surface, Surfaces

T = TypeVar("T")
_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_PREFIX: Final = re.compile(r"/[^*{}?%]*")
_STORE_PREFIX: Final = re.compile(r"[A-Za-z0-9:_-]{1,40}")
_FALSE: Final = frozenset({"false", "0", "no", "off"})


def flag(value: object) -> bool:
    """True or False, or their text."""
    if isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise Wanted("True or False")


def whole(minimum: int, maximum: int) -> Callable[[object], int]:
    """A whole number between two bounds, both included."""

    def read(value: object) -> int:
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum:
            return value
        raise Wanted(f"a whole number from {minimum:,} to {maximum:,}")

    return read


def text(value: object) -> str:
    """Any text."""
    if isinstance(value, str):
        return value
    raise Wanted("text")


def one_of(*choices: str) -> Callable[[object], str]:
    """One of a few words."""

    def read(value: object) -> str:
        if isinstance(value, str) and value in choices:
            return value
        raise Wanted("one of " + ", ".join(f'"{choice}"' for choice in choices))

    return read


def method(value: object) -> str:
    """The name of a method."""
    if isinstance(value, str) and value.isascii() and value.isalpha() and value.isupper():
        return value
    raise Wanted("a method in capitals")


def header_name(value: object) -> str:
    """The name of an HTTP header."""
    if isinstance(value, str) and TOKEN.fullmatch(value):
        return value
    raise Wanted("the name of a header")


def stripped_header(value: object) -> str:
    """The name of a request header that may be taken away; some have no key of their own in the environ."""
    name = header_name(value)
    if name.lower() in ("content-type", "content-length"):
        raise Wanted("the name of a header other than Content-Type and Content-Length")
    return name


def id_header(value: object) -> str:
    """The name of a header that carries a request id and nothing else."""
    name = header_name(value)
    if not name.lower().startswith("x-") and "id" not in name.lower():
        raise Wanted("the name of a header that carries nothing else, such as X-Request-Id")
    return name


def folder(value: object) -> Path | None:
    """A path, or None for the default place."""
    if value is None:
        return None
    if isinstance(value, (str, Path)) and str(value) and "\0" not in str(value):
        return Path(value).expanduser()
    raise Wanted("a path")


def path(value: object) -> Path:
    """A path."""
    found = folder(value)
    if found is None:
        raise Wanted("a path")
    return found


def many(read_one: Callable[[object], T], what: str) -> Callable[[object], tuple[T, ...]]:
    """A list (or comma-separated text) of things that *read_one* reads."""

    def read(value: object) -> tuple[T, ...]:
        items = _items(value, what)
        found: list[T] = []
        for position, item in enumerate(items, start=1):
            try:
                found.append(read_one(item))
            except Wanted as wanted:
                raise Wanted(f"{what} (item {position}: wanted {wanted})") from None
        return tuple(found)

    return read


def store_prefix(value: object) -> str:
    """What the keys of one application begin with."""
    if isinstance(value, str) and _STORE_PREFIX.fullmatch(value):
        return value
    raise Wanted("letters, digits, hyphens and colons, 40 at most")


def secret_key(value: object) -> str:
    """A secret of 16 characters or more."""
    if isinstance(value, str) and len(value) >= 16 and value.isprintable():
        return value
    raise Wanted("a secret of at least 16 printable characters")


def origin(value: object) -> str:
    """A web origin such as ``https://app.example.com``, or ``*``."""
    if isinstance(value, str):
        scheme, mark, rest = value.lower().partition("://")
        match = HOST.fullmatch(rest)
        default = {"http": "80", "https": "443"}.get(scheme, "")
        if value == "*" or (mark and default and match and match["port"] != default):
            return value.lower()
    raise Wanted('an origin such as "https://app.example.com", or "*"')


def networks(value: object) -> Networks:
    """A list of networks."""
    items = _items(value, "a list of networks")
    if not all(isinstance(item, str) for item in items):
        raise Wanted("a list of networks, each as text")
    try:
        return Networks.parse(str(item) for item in items)
    except ValueError as error:
        raise Wanted(f"a list of networks ({error})") from None


def path_pattern(value: object) -> PathPattern:
    """A path pattern."""
    if not isinstance(value, str):
        raise Wanted("a path pattern such as /v1/files/{id}")
    try:
        return PathPattern.parse(value)
    except ValueError as error:
        raise Wanted(f"a path pattern such as /v1/files/{{id}} ({error})") from None


def by_path(read_value: Callable[[object], T]) -> Callable[[object], tuple[tuple[PathPattern, T], ...]]:
    """A mapping from path patterns to values."""

    def read(value: object) -> tuple[tuple[PathPattern, T], ...]:
        if not isinstance(value, Mapping):
            raise Wanted("a mapping from path patterns")
        return tuple((path_pattern(key), read_value(item)) for key, item in value.items())

    return read


def modes_by_rule(known: Iterable[str]) -> Callable[[object], tuple[tuple[str, str], ...]]:
    """A mapping from rule ids, all of them *known*, to modes; one that ends with ``*`` stands for those of settings."""
    rules = frozenset(known)
    own = tuple(rule[:-1] for rule in rules if rule.endswith("*"))
    read_mode = one_of("enforce", "monitor", "off")

    def read(value: object) -> tuple[tuple[str, str], ...]:
        if not isinstance(value, Mapping):
            raise Wanted("a mapping from rule ids to modes")
        for rule in value:
            if (rule not in rules and not str(rule).startswith(own)) or str(rule).endswith("*"):
                close = nearest(str(rule), rules)
                remedy = f"did you mean {close}?" if close else "see docs/reference/rules.md"
                raise Wanted(f"rule ids of this layer ({remedy})")
        return tuple((str(rule), read_mode(mode)) for rule, mode in value.items())

    return read


def surfaces(value: object) -> Surfaces:
    """A list of surfaces, each a mapping with ``name``, ``kind``, ``hosts`` and ``prefixes``."""
    if isinstance(value, Surfaces):
        return value
    if isinstance(value, (str, Mapping)) or not isinstance(value, Iterable):
        raise Wanted("a list of surfaces")
    found: list[Surface] = []
    for position, item in enumerate(value, start=1):
        try:
            found.append(item if isinstance(item, Surface) else _surface(item))
        except Wanted as wanted:
            raise Wanted(f"a list of surfaces (item {position}: wanted {wanted})") from None
    names = [surface.name for surface in found]
    if len(set(names)) != len(names):
        raise Wanted("surfaces with different names")
    return Surfaces(found)


def _surface(item: object) -> Surface:
    if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
        raise Wanted('a mapping with "name", and perhaps "kind", "hosts", "prefixes"')
    unknown = sorted(str(key) for key in set(item) - {"name", "kind", "hosts", "prefixes"})
    if unknown:
        raise Wanted(f'only "name", "kind", "hosts", "prefixes" (found {len(unknown)} other)')
    prefixes = many(text, "a list of path prefixes")(item.get("prefixes", ("/",)))
    if not prefixes or not all(_PREFIX.fullmatch(prefix) for prefix in prefixes):
        raise Wanted('path prefixes such as "/v1", decoded and without wildcards')
    hosts = tuple(host.lower().rstrip(".") for host in many(text, "a list of host names")(item.get("hosts", ())))
    for host in hosts:
        match = HOST.fullmatch(host.removeprefix("*."))
        if match is None or match["port"]:
            raise Wanted('host names such as "api.example.com" or "*.example.com", in ASCII and without port')
    kind = one_of("api", "web")(item.get("kind", "web"))
    return Surface(
        name=str(item["name"]),
        kind="api" if kind == "api" else "web",
        hosts=hosts,
        prefixes=tuple(prefix.rstrip("/") or "/" for prefix in prefixes),
    )


def _items(value: object, what: str) -> list[object]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    raise Wanted(what)
