"""Finds the operation of a request by host, path and method, as OpenAPI orders it: fixed segments before templated.

Paths are compared decoded, which is how WSGI hands them to the application too. An empty segment is never the value
of a parameter. The cost depends on the length of the path and not on the number of operations.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from bsguard.core.paths import under

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

_NAME: Final = re.compile(r"\{([^{}]*)\}")


@dataclass(slots=True)
class _Node(Generic[T]):
    fixed: dict[str, _Node[T]] = field(default_factory=dict)
    #: By the texts around parameters within a segment, as in ``{name}.json``.
    mixed: dict[tuple[str, ...], _Node[T]] = field(default_factory=dict)
    whole: _Node[T] | None = None
    leaf: T | None = None


class Router(Generic[T]):
    """Path templates and what stands behind each."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._exact: dict[str, T] = {}
        self._depth = 0

    def add(self, template: str, leaf: T) -> T:
        """Add *template*. Returns what stands at the same place already, under other names, else *leaf*."""
        native = template.encode().decode("latin-1")
        segments = native.split("/")[1:]
        self._depth = max(self._depth, len(segments))
        node = self._root
        for segment in segments:
            node = _below(node, segment)
        if node.leaf is None:
            node.leaf = leaf
            if "{" not in native:
                self._exact[native] = leaf
        return node.leaf

    def leaves(self) -> Iterator[T]:
        """All that was added."""
        waiting = [self._root]
        while waiting:
            node = waiting.pop()
            if node.leaf is not None:
                yield node.leaf
            waiting += [*node.fixed.values(), *node.mixed.values()]
            waiting += [node.whole] if node.whole is not None else []

    def find(self, path: str) -> tuple[T, tuple[str, ...]] | None:
        """What stands behind the native *path*, and the texts of its parameters in the template's order."""
        leaf = self._exact.get(path)
        if leaf is not None:
            return leaf, ()
        if path[:1] != "/" or path.count("/") > self._depth:
            return None
        return _search(self._root, path.split("/")[1:], 0, ())


def _below(node: _Node[T], segment: str) -> _Node[T]:
    if "{" not in segment:
        return node.fixed.setdefault(segment, _Node())
    if _NAME.fullmatch(segment):
        if node.whole is None:
            node.whole = _Node()
        return node.whole
    return node.mixed.setdefault(tuple(_NAME.split(segment)[::2]), _Node())


def _between(texts: tuple[str, ...], segment: str) -> tuple[str, ...] | None:
    """What stands between *texts* in *segment*; None if they are not all there with something between them.

    Each is taken where it comes first: if any choice fits, that one does, so nothing is tried twice.
    """
    if not segment.startswith(texts[0]) or not segment.endswith(texts[-1]):
        return None
    position, end = len(texts[0]), len(segment) - len(texts[-1])
    found = []
    for text in texts[1:-1]:
        at = segment.find(text, position + 1, max(end, 0))
        if at < 0:
            return None
        found.append(segment[position:at])
        position = at + len(text)
    return (*found, segment[position:end]) if position < end else None


def _search(
    node: _Node[T], segments: list[str], index: int, taken: tuple[str, ...]
) -> tuple[T, tuple[str, ...]] | None:
    """Every node stands for one way to read the segments so far, so each is visited at most once."""
    if index == len(segments):
        return None if node.leaf is None else (node.leaf, taken)
    segment = segments[index]
    fixed = node.fixed.get(segment)
    if fixed is not None:
        found = _search(fixed, segments, index + 1, taken)
        if found is not None:
            return found
    if not segment:
        return None
    for texts, below in node.mixed.items():
        between = _between(texts, segment)
        if between is not None:
            found = _search(below, segments, index + 1, taken + between)
            if found is not None:
                return found
    return None if node.whole is None else _search(node.whole, segments, index + 1, (*taken, segment))


@dataclass(frozen=True, slots=True, eq=False)
class Mount(Generic[T]):
    """A document at one of its servers: ``host`` (empty for any, ``*.name`` for any one label) and path ``prefix``."""

    host: str
    prefix: str
    router: Router[T]


class Mounts(Generic[T]):
    """All mounts of all documents, by host."""

    def __init__(self, mounts: Iterable[Mount[T]]) -> None:
        self.all = tuple(sorted(mounts, key=lambda mount: -len(mount.prefix)))
        self._anywhere = tuple(mount for mount in self.all if not mount.host)
        hosts = {mount.host for mount in self.all if mount.host}
        self._by_host = {host: tuple(mount for mount in self.all if mount.host in ("", host)) for host in hosts}

    def at(self, host: str) -> tuple[Mount[T], ...]:
        """The mounts that serve *host*; none if it is declared nowhere."""
        return self._by_host.get(host) or self._by_host.get("*." + host.partition(".")[2]) or self._anywhere

    def find(self, mounts: Iterable[Mount[T]], path: str) -> tuple[Mount[T], T, tuple[str, ...]] | None:
        """Where the native *path* belongs among *mounts*, longest prefix first.

        The mount, what stands there, and the native texts of the path's parameters in the template's order.
        """
        for mount in mounts:
            prefix = mount.prefix
            if prefix and not under(prefix, path):
                continue
            found = mount.router.find(path[len(prefix) :] if prefix else path)
            if found is not None:
                return mount, *found
        return None
