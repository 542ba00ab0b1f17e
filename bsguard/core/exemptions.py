"""Exceptions to rules: which rule, where, for whom, why and until when.

An exception names a rule (or a tag) and a scope; it never switches a whole field or layer off. It comes from the
settings (``BSGUARD_EXCEPTIONS``) or, at run time, from the overrides table.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from bsguard.core.config import Wanted
from bsguard.core.networks import NO_NETWORKS, Networks, parse_address
from bsguard.core.paths import PathPattern

if TYPE_CHECKING:
    from bsguard.core.request import Request
    from bsguard.core.verdict import Finding

_RULE = re.compile(r"[a-z0-9]+\.[a-z0-9][a-z0-9.*_-]*")
_PARAMETER = re.compile(r"([A-Z][A-Z_]*)(?::(.{1,200}))?", re.IGNORECASE | re.DOTALL)
_KEYS = frozenset({"rule", "tag", "parameter", "path", "method", "addresses", "comment", "expires"})
_TEXTS: Final = ("rule", "tag", "parameter", "method", "comment")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of a request that rules look at, such as ``ARGS:prompt``, or several, as ``ARGS:json.messages.*``."""

    #: Upper-case name of the collection.
    collection: str
    #: Pattern of the names within it, in lower case; None where it has none, or for all.
    key: str | None = None

    @classmethod
    def parse(cls, text: str) -> Parameter:
        """Read it; :class:`Wanted` says what is wrong."""
        match = _PARAMETER.fullmatch(text)
        if match is None:
            raise Wanted('a parameter such as "ARGS:prompt" or "REQUEST_COOKIES:_ga*"')
        # Brackets stand for themselves, since forms have names such as user[name]: they are no set of characters.
        return cls(match[1].upper(), match[2].lower().replace("[", "[[]") if match[2] else None)

    def fits(self, key: str) -> bool:
        """Whether the entry *key* of its collection is meant."""
        return self.key is None or fnmatchcase(key.lower(), self.key)

    def covers(self, name: str) -> bool:
        """Whether *name* is meant, such as ``ARGS:prompt``."""
        collection, _, key = name.partition(":")
        return collection == self.collection and self.fits(key)


@dataclass(frozen=True, slots=True)
class Exemption:
    """One exception. All parts of the scope that are given must fit."""

    #: Rule id, or a pattern such as ``protocol.json.*``; empty when a tag is named.
    rule: str = ""
    tag: str = ""
    #: The rule does not look at this, and at everything else as before; None excepts the whole rule.
    parameter: Parameter | None = None
    path: PathPattern | None = None
    method: str = ""
    addresses: Networks = field(default=NO_NETWORKS)
    #: Why; required, because an exception without a reason is never taken away again.
    comment: str = ""
    #: Seconds since the epoch, UTC; None never expires.
    expires: float | None = None

    @classmethod
    def parse(cls, item: object) -> Exemption:
        """Read one exception from a mapping; :class:`Wanted` says what is wrong."""
        if not isinstance(item, Mapping):
            raise Wanted("a mapping")
        if set(item) - _KEYS:
            raise Wanted("only the keys " + ", ".join(sorted(_KEYS)))
        words = {key: item.get(key, "") for key in _TEXTS}
        if not all(isinstance(value, str) for value in words.values()):
            raise Wanted("text for " + ", ".join(_TEXTS))
        if bool(words["rule"]) == bool(words["tag"]):
            raise Wanted("either a rule or a tag")
        if words["rule"] and not _RULE.fullmatch(words["rule"]):
            raise Wanted("a rule id, or a pattern that starts with its layer, such as protocol.json.*")
        if not words["comment"].strip():
            raise Wanted("a comment that says why")
        try:
            path = PathPattern.parse(str(item["path"])) if "path" in item else None
            addresses = item.get("addresses", ())
            listed = Networks.parse([addresses] if isinstance(addresses, str) else addresses)
        except (ValueError, TypeError, AttributeError) as error:
            raise Wanted(f"a usable scope ({error})") from None
        if "addresses" in item and (not listed or listed.unix):
            raise Wanted("networks in addresses, or no addresses at all")
        return cls(
            rule=words["rule"],
            tag=words["tag"],
            parameter=Parameter.parse(words["parameter"]) if words["parameter"] else None,
            path=path,
            method=words["method"].upper(),
            addresses=listed,
            comment=words["comment"],
            expires=_moment(item.get("expires")),
        )

    def covers(self, finding: Finding, request: Request, now: float) -> bool:
        """Whether this exception holds for *finding* on *request* at *now*."""
        return (
            self.names(finding.rule, finding.tags)
            and (self.parameter is None or self._accounts_for(finding))
            and self.holds(request, now)
        )

    def names(self, rule: str, tags: tuple[str, ...]) -> bool:
        """Whether it is about *rule*, which has *tags*."""
        return fnmatchcase(rule, self.rule) if self.rule else self.tag in tags

    def holds(self, request: Request, now: float) -> bool:
        """Whether *request* is within its scope at *now*."""
        return (
            (self.expires is None or now < self.expires)
            and (not self.method or self.method == request.method)
            and (self.path is None or self.path.matches(request.path))
            and (not self.addresses or parse_address(request.client.address) in self.addresses)
        )

    def _accounts_for(self, finding: Finding) -> bool:
        """Whether the finding is about nothing but the parameter."""
        parameter = self.parameter
        return parameter is not None and bool(finding.parameters) and all(map(parameter.covers, finding.parameters))


def _moment(value: object) -> float | None:
    """Seconds since the epoch of an ISO date or time (UTC unless it says otherwise), date or datetime object."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError:
            raise Wanted('"expires" as an ISO date such as 2027-01-31') from None
    if isinstance(value, datetime.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=datetime.UTC)).timestamp()
    if isinstance(value, datetime.date):
        return datetime.datetime.combine(value, datetime.time(), datetime.UTC).timestamp()
    raise Wanted('"expires" as an ISO date such as 2027-01-31')
