"""Surfaces: the parts of a site that live by different rules, told apart by host and path.

A surface is chosen by host and confirmed by path, and a Host header alone never loosens a check: a path that an api
surface claims is judged as api whatever host the client names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from bsguard.core.paths import under

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["api", "web"]


@dataclass(frozen=True, slots=True)
class Surface:
    """A declared surface.

    ``hosts`` are names without port, ``*.example.com`` for any one name below; none means any host. ``prefixes`` are
    the paths it serves.
    """

    name: str
    kind: Kind = "web"
    hosts: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ("/",)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a request falls.

    ``problem`` is ``"host"`` when no surface serves the host, ``"path"`` when the host's surfaces do not serve the
    path or another surface claims it. ``api`` says whether API-only rules apply.
    """

    surface: Surface | None
    api: bool
    problem: Literal["host", "path"] | None = None


#: Where a request falls when no surface is declared.
UNPLACED: Final = Placement(None, api=False)


class Surfaces:
    """All declared surfaces, arranged for look-up: by host, longest prefix first."""

    def __init__(self, declared: Iterable[Surface]) -> None:
        self.declared = tuple(declared)
        claims = [(prefix, surface) for surface in self.declared for prefix in surface.prefixes]
        claims.sort(key=lambda claim: -len(claim[0]))
        self._anywhere = tuple(claim for claim in claims if not claim[1].hosts)
        named = {host for surface in self.declared for host in surface.hosts}
        self._by_host = {
            host: tuple(claim for claim in claims if host in claim[1].hosts or not claim[1].hosts) for host in named
        }
        self._api = tuple(prefix for prefix, surface in claims if surface.kind == "api")

    def __bool__(self) -> bool:
        return bool(self.declared)

    def place(self, host: str, path: str) -> Placement:
        """Place a request by its *host* (lower case, no port) and full decoded *path*."""
        if not self.declared:
            return UNPLACED
        claims = self._by_host.get(host) or self._by_host.get("*." + host.partition(".")[2]) or self._anywhere
        if not claims:
            # Nobody serves this host, so the strictest surface that exists judges it.
            return Placement(None, api=bool(self._api), problem="host")
        api_reach = next((len(prefix) for prefix in self._api if under(prefix, path)), 0)
        for prefix, surface in claims:
            if under(prefix, path):
                if surface.kind == "api":
                    return Placement(surface, api=True)
                # An api surface that serves every path claims none in particular.
                stolen = api_reach > max(len(prefix), 1)
                return Placement(surface, api=api_reach > 1, problem="path" if stolen else None)
        nearest = next((surface for _, surface in claims if surface.kind == "api"), claims[0][1])
        return Placement(nearest, api=nearest.kind == "api" or api_reach > 0, problem="path")
