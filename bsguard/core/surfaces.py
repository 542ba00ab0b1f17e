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


@dataclass(frozen=True, slots=True)
class _Claim:
    """One prefix of one surface, and the placements that it can lead to."""

    prefix: str
    surface: Surface
    plain: Placement
    #: A web surface's own path that an api surface serves too: judged by the stricter rules.
    strict: Placement
    #: A path that an api surface claims more closely.
    stolen: Placement

    @classmethod
    def of(cls, prefix: str, surface: Surface) -> _Claim:
        api = surface.kind == "api"
        return cls(
            prefix,
            surface,
            plain=Placement(surface, api=api),
            strict=Placement(surface, api=True),
            stolen=Placement(surface, api=True, problem="path"),
        )


class Surfaces:
    """All declared surfaces, arranged for look-up: by host, longest prefix first."""

    def __init__(self, declared: Iterable[Surface]) -> None:
        self.declared = tuple(declared)
        claims = [_Claim.of(prefix, surface) for surface in self.declared for prefix in surface.prefixes]
        claims.sort(key=lambda claim: -len(claim.prefix))
        self._anywhere = tuple(claim for claim in claims if not claim.surface.hosts)
        named = {host for surface in self.declared for host in surface.hosts}
        self._by_host = {
            host: tuple(claim for claim in claims if host in claim.surface.hosts or not claim.surface.hosts)
            for host in named
        }
        self._api = tuple(claim.prefix for claim in claims if claim.surface.kind == "api")

    def __bool__(self) -> bool:
        return bool(self.declared)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Surfaces) and self.declared == other.declared

    def __hash__(self) -> int:
        return hash(self.declared)

    def place(self, host: str, path: str) -> Placement:
        """Place a request by its *host* (lower case, no port) and full decoded *path*.

        ``*``, the target of a server-wide OPTIONS (RFC 9112 §3.2.4), and the empty path fall where ``/`` does.
        """
        if not self.declared:
            return UNPLACED
        path = "/" if path in ("", "*") else path
        claims = self._by_host.get(host) or self._by_host.get("*." + host.partition(".")[2]) or self._anywhere
        if not claims:
            # Nobody serves this host, so the strictest surface that exists judges it.
            return Placement(None, api=bool(self._api), problem="host")
        for claim in claims:
            if under(claim.prefix, path):
                if claim.surface.kind == "api":
                    return claim.plain
                reach = self._api_reach(path)
                if reach > max(len(claim.prefix), 1):
                    return claim.stolen
                return claim.strict if reach > 1 else claim.plain  # "/" claims no path in particular
        nearest = next((claim.surface for claim in claims if claim.surface.kind == "api"), claims[0].surface)
        return Placement(nearest, api=nearest.kind == "api" or self._api_reach(path) > 0, problem="path")

    def _api_reach(self, path: str) -> int:
        """Length of the longest prefix of any api surface that covers *path*; 0 if none does."""
        return next((len(prefix) for prefix in self._api if under(prefix, path)), 0)
