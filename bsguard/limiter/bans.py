"""Bans as one process knows them: the entries of the overrides table, and what the store said a moment ago."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bsguard.core.client import key_of
from bsguard.core.errors import StateUnusable
from bsguard.core.networks import Networks, parse_address
from bsguard.core.overrides import Override
from bsguard.core.paths import PathPattern

if TYPE_CHECKING:
    from bsguard.core.overrides import Overrides
    from bsguard.core.request import Request

#: The author of bans that nobody set by hand.
AUTOMATIC: Final = "bsguard"

#: Bans in the table up to which automatic ones are kept there: clients must not take the operator's room.
RECORDED_MAX: Final = 5_000

_RECENT_MAX: Final = 4096
_RECENT_SECONDS: Final = 1.0
_IDENTITY_CHARS: Final = 16


def client_subject(client_key: str) -> str:
    """The subject of a ban on one client: its address, or the /64 of an IPv6 address."""
    return f"client {client_key}"


def subject_of(text: str) -> str:
    """The subject that an operator means by an address, a network, or an identity as events show it.

    Raises ValueError with what is wanted.
    """
    address = parse_address(text)
    if address is not None:
        return client_subject(key_of(address))
    if "/" in text:
        Networks.parse([text])
        network = ipaddress.ip_network(text)
        client = key_of(network.network_address)
        single = network.prefixlen == network.max_prefixlen and network.version == 4
        return client_subject(client) if single or client == str(network) else f"network {network}"
    if len(text) == _IDENTITY_CHARS and all(char in "0123456789abcdef" for char in text):
        return f"identity {text}"
    raise ValueError("wanted an address, a network such as 203.0.113.0/24, or the 16 digits of an identity")


@dataclass(frozen=True, slots=True)
class Entry:
    """One ban of the table."""

    override: Override
    #: What it is about; None for everything.
    path: PathPattern | None = None

    @property
    def automatic(self) -> bool:
        """Whether the layer set it by itself."""
        return self.override.author == AUTOMATIC


@dataclass(slots=True)
class _Index:
    """The entries, arranged for look-up."""

    source: tuple[Override, ...] = ()
    by_subject: dict[str, list[Entry]] = field(default_factory=dict)
    networks: list[tuple[Networks, Entry]] = field(default_factory=list)

    @classmethod
    def of(cls, source: tuple[Override, ...]) -> _Index:
        index = cls(source)
        for override in source:
            subject = str(override.value.get("subject", ""))
            kind, _, rest = subject.partition(" ")
            path = override.value.get("path")
            try:
                entry = Entry(override, PathPattern.parse(str(path)) if path else None)
                if kind == "network":
                    index.networks.append((Networks.parse([rest]), entry))
                else:
                    index.by_subject.setdefault(subject, []).append(entry)
            except ValueError:  # written by hand and wrongly: it bans nobody, and hides no other
                continue
        return index


class BanBook:
    """Who is banned, and who has just been."""

    def __init__(self, overrides: Overrides) -> None:
        self._overrides = overrides
        self._index = _Index()
        #: Until when, and when the store said so.
        self._recent: dict[str, tuple[float, float]] = {}

    def entry_for(self, request: Request, now: float) -> Entry | None:
        """The entry of the table that holds for *request*; one set by hand before an automatic one."""
        source = self._overrides.active("ban", now)
        if not source:
            return None
        if source is not self._index.source:
            self._index = _Index.of(source)
        index = self._index
        found = list(index.by_subject.get(client_subject(request.client.key), ()))
        if index.networks:
            address = parse_address(request.client.address)
            found += [entry for networks, entry in index.networks if address in networks]
        if request.identity:
            found += index.by_subject.get(f"identity {request.identity}", ())
        fitting = [entry for entry in found if entry.path is None or entry.path.matches(request.path)]
        return min(fitting, key=lambda entry: entry.automatic, default=None)

    def record(self, subject: str, reason: str, now: float, seconds: float) -> None:
        """Keep an automatic ban durably; raises :class:`~bsguard.core.errors.StateUnusable`."""
        if len(self._overrides.active("ban", now)) >= RECORDED_MAX:
            raise StateUnusable(f"the table holds {RECORDED_MAX:,} bans; the rest of it is for bans set by hand")
        value: dict[str, object] = {"subject": subject}
        self._overrides.add(
            Override(kind="ban", value=value, author=AUTOMATIC, comment=reason, created=now, expires=now + seconds)
        )

    def recent(self, subject: str, now: float) -> float:
        """Until when *subject* is banned, as the store said within the last second; 0 when it did not."""
        until, said = self._recent.get(subject, (0.0, 0.0))
        return until if now - _RECENT_SECONDS < said <= now < until else 0.0

    def remember(self, subject: str, until: float, now: float) -> None:
        """Keep for a second what the store said: a banned client that floods costs no store calls."""
        if len(self._recent) >= _RECENT_MAX:
            self._recent.clear()
        self._recent[subject] = (until, now)
