"""What the engine is given and what it gives back: requests, responses, matches, verdicts. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from bsguard.seclang.operators import integer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    #: Rules by id, the collection that they leave out, and a test of the keys that are meant.
    Exclusion = tuple[frozenset[int], str, Callable[[bytes], bool]]

Headers = tuple[tuple[bytes, bytes], ...]


def text_bytes(value: str | bytes) -> bytes:
    """Latin-1 where it fits, as WSGI gives header values; else UTF-8."""
    if isinstance(value, bytes):
        return value
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Request:
    """A request, its parts as received."""

    method: bytes = b"GET"
    #: The request target, such as ``/a?b=1``.
    target: bytes = b"/"
    headers: Headers = ()
    body: bytes = b""
    protocol: bytes = b"HTTP/1.1"
    #: Address of the client.
    client: bytes = b""
    #: UNIQUE_ID; made up where empty.
    unique_id: bytes = b""

    def with_body(self, body: bytes) -> Request:
        """The same request, now that its body has arrived."""
        return Request(self.method, self.target, self.headers, body, self.protocol, self.client, self.unique_id)


@dataclass(frozen=True, slots=True)
class Response:
    """A response, for the rules of phases 3 and 4."""

    status: int = 200
    headers: Headers = ()
    body: bytes = b""
    protocol: bytes = b"HTTP/1.1"


@dataclass(frozen=True, slots=True)
class Exclusions:
    """What one request is not held to, over and above what the rules themselves say with ``ctl``."""

    #: Rules that are not evaluated.
    removed: frozenset[int] = frozenset()
    #: Rules that are evaluated, and reported, and have no effect: no score, no decision, no variable.
    watched: frozenset[int] = frozenset()
    #: Parameters that some rules do not look at; what a rule would have matched there is reported.
    targets: tuple[Exclusion, ...] = ()

    @property
    def apart(self) -> frozenset[int]:
        """The rules that do not run as they are."""
        return self.watched.union(*(ids for ids, _, _ in self.targets))


NO_EXCLUSIONS: Final = Exclusions()


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule matched on: the variable's full name, such as ``ARGS:q``, and the value after transformations."""

    name: str
    value: bytes
    #: The part that the operator matched; all of it where the operator does not say.
    part: bytes = b""

    @property
    def collection(self) -> str:
        """The collection that the variable belongs to, such as ``ARGS``."""
        return self.name.partition(":")[0]

    @property
    def key(self) -> bytes:
        """The variable's name within it; empty where it has none."""
        return self.name.partition(":")[2].encode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Match:
    """One rule that matched and says so (``log``)."""

    rule_id: int
    phase: int
    message: str
    #: ``logdata`` with its macros filled in; holds parts of the request, so mask it before it is logged.
    data: str
    #: 0 (emergency) to 7 (debug), or None.
    severity: int | None
    tags: tuple[str, ...]
    #: What its first link matched on.
    found: tuple[Found, ...]
    #: What it added to the anomaly scores.
    score: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules want done; with ``SecRuleEngine DetectionOnly`` always to allow."""

    action: Literal["allow", "deny", "drop", "redirect"] = "allow"
    status: int = 200
    #: Rule that decided, 0 if none did.
    rule_id: int = 0
    phase: int = 0
    #: Where a redirect goes.
    location: str = ""

    @property
    def allowed(self) -> bool:
        """Whether the exchange goes on."""
        return self.action == "allow"


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything that came of one exchange."""

    matches: tuple[Match, ...] = ()
    #: Rules that matched and were kept from having any effect, see :class:`Exclusions`.
    spared: tuple[Match, ...] = ()
    verdict: Verdict = field(default_factory=Verdict)
    #: TX as it was at the end, without captures, names that are made of values, and what only beginnings of chains set.
    variables: Mapping[bytes, bytes] = field(default_factory=dict)
    #: Why query or body could not be read as what they say they are; empty if they could. Such a request is refused
    #: with 400, or 413 where it passed a limit, by rule 0, unless a rule allows it.
    body_error: str = ""

    @property
    def rule_ids(self) -> tuple[int, ...]:
        """Ids of the rules that matched, in the order in which they ran."""
        return tuple(match.rule_id for match in self.matches)

    @property
    def scores(self) -> dict[str, int]:
        """The entries of TX whose names end in ``_score`` or hold ``_score_``, as numbers."""
        return {
            name.decode("utf-8", "backslashreplace"): integer(value)
            for name, value in self.variables.items()
            if name.endswith(b"_score") or b"_score_" in name
        }
