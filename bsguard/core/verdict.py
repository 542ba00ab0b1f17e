"""What a layer returns: a decision as frozen data. The driver alone acts on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from bsguard.core.codes import Code
    from bsguard.core.errors import BodyError
    from bsguard.core.events import RequestEvent

#: ``deny`` refuses the request, ``challenge`` asks the browser to prove itself first, ``log`` only reports.
Action = Literal["deny", "challenge", "log"]


#: One thing wrong with a request, as the client is told: keys and values, such as ``in`` and ``query``. Carries nothing
#: that the client sent.
Detail = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Note:
    """An event of the layer's own that goes with a finding: its class, and its facts beyond those of every request."""

    event: type[RequestEvent]
    facts: tuple[tuple[str, object], ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that fired on one request.

    A layer reports all its findings, not just the first: one of them may be excepted or only monitored, and the
    others still count.
    """

    #: Dotted id, such as ``protocol.framing.te-with-cl``; exceptions and rule modes name it.
    rule: str
    #: What the client is told, should this finding refuse the request.
    code: Code
    #: What the operator is told. Carries no submitted value.
    reason: str
    action: Action = "deny"
    #: Response headers that belong to the refusal, such as ``Allow``.
    headers: tuple[tuple[str, str], ...] = ()
    #: Names of groups of rules; exceptions may name a tag instead of a rule.
    tags: tuple[str, ...] = ()
    #: What exactly is wrong, where that helps an honest client.
    details: tuple[Detail, ...] = ()
    note: Note | None = None
    #: What of the request the rule matched on, such as ``ARGS:q``; an exception may name one of them.
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """A layer's decision: findings (none means allow), what to remove from the environ, what to add to the answer."""

    findings: tuple[Finding, ...] = ()
    #: Keys of the environ, such as ``HTTP_X_ACCOUNT_ID``. Removed in every mode but ``off``.
    remove: tuple[str, ...] = ()
    #: Response headers to add to whatever answer the request gets, where that has none of the name.
    respond: tuple[tuple[str, str], ...] = ()
    #: Whether a finding says that the body cannot be read, so that the driver need not say it again.
    unreadable: bool = False


def body_finding(error: BodyError) -> Finding:
    """The finding for a body that cannot be read, or is too large to be."""
    return Finding(error.rule, error.code, error.reason)


#: Nothing found, nothing to edit: the common answer allocates nothing.
ALLOW: Final = Verdict()
