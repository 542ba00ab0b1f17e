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
from typing import TYPE_CHECKING

from bsguard.core.config import Wanted
from bsguard.core.networks import NO_NETWORKS, Networks, parse_address
from bsguard.core.paths import PathPattern

if TYPE_CHECKING:
    from bsguard.core.request import Request
    from bsguard.core.verdict import Finding

_RULE = re.compile(r"[a-z0-9]+\.[a-z0-9][a-z0-9.*_-]*")
_KEYS = frozenset({"rule", "tag", "path", "method", "addresses", "comment", "expires"})


@dataclass(frozen=True, slots=True)
class Exemption:
    """One exception. All parts of the scope that are given must fit."""

    #: Rule id, or a pattern such as ``protocol.json.*``; empty when a tag is named.
    rule: str = ""
    tag: str = ""
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
        words = {key: item.get(key, "") for key in ("rule", "tag", "method", "comment")}
        if not all(isinstance(value, str) for value in words.values()):
            raise Wanted("text for rule, tag, method and comment")
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
            path=path,
            method=words["method"].upper(),
            addresses=listed,
            comment=words["comment"],
            expires=_moment(item.get("expires")),
        )

    def covers(self, finding: Finding, request: Request, now: float) -> bool:
        """Whether this exception holds for *finding* on *request* at *now*."""
        return (
            (fnmatchcase(finding.rule, self.rule) if self.rule else self.tag in finding.tags)
            and (self.expires is None or now < self.expires)
            and (not self.method or self.method == request.method)
            and (self.path is None or self.path.matches(request.path))
            and (not self.addresses or parse_address(request.client.address) in self.addresses)
        )


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
