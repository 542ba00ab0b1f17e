"""Settings of the session layer. Every number has its reason beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal

from bsguard.core import readers
from bsguard.core.config import CONTRADICTION, Wanted, setting
from bsguard.core.errors import Problem
from bsguard.core.layer import LayerConfig
from bsguard.core.networks import NO_NETWORKS, Networks
from bsguard.session.rules import RULES, SEQUENCES, SIGNALS, Signal
from bsguard.session.sequences import Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bsguard.core.settings import Mode, Settings

Action = Literal["log", "throttle", "deny", "revoke"]
IdentityKind = Literal["authorization", "header", "cookie", "claim", "account", "callback"]

ACTIONS: Final[tuple[Action, ...]] = ("log", "throttle", "deny", "revoke")
_KINDS: Final = "authorization, account, header:NAME, cookie:NAME, claim:NAME, or a function"


@dataclass(frozen=True, slots=True)
class IdentitySource:
    """Where a session's identity stands."""

    kind: IdentityKind
    #: Name of the header, cookie or claim; empty for other kinds.
    name: str = ""
    callback: Callable[[Mapping[str, Any]], object] | None = None


def identity_source(value: object) -> IdentitySource:
    """Read ``BSGUARD_SESSION_IDENTITY``."""
    if callable(value):
        return IdentitySource("callback", callback=value)
    if isinstance(value, str):
        kind, mark, name = value.partition(":")
        if not mark and kind in ("authorization", "account"):
            return IdentitySource(kind)  # type: ignore[arg-type]
        if kind in ("header", "cookie", "claim") and name and name.isprintable():
            return IdentitySource(kind, readers.stripped_header(name) if kind == "header" else name)  # type: ignore[arg-type]
    raise Wanted(_KINDS)


def actions(value: object) -> tuple[tuple[Signal, Action], ...]:
    """A mapping from signals to actions."""
    if not isinstance(value, Mapping):
        raise Wanted(f"a mapping from {', '.join(SIGNALS)} to {', '.join(ACTIONS)}")
    read = readers.one_of(*ACTIONS)
    for signal in value:
        if signal not in SIGNALS:
            raise Wanted(f"a mapping from {', '.join(SIGNALS)}")
    return tuple((signal, read(value[signal])) for signal in SIGNALS if signal in value)  # type: ignore[misc]


def hook(value: object) -> Callable[[str, str], object] | None:
    """A function, or ``module:name`` of one."""
    if callable(value):
        return value
    if isinstance(value, str) and value.count(":") == 1:
        module, _, name = value.partition(":")
        try:
            found = getattr(import_module(module), name, None)
        except Exception:  # whatever the module does at import, it is not what was wanted
            found = None
        if callable(found):
            return found  # type: ignore[no-any-return]
    raise Wanted('a function of session and account, or the text "module:name" of one')


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig(LayerConfig):
    """Settings of the session layer, ``BSGUARD_SESSION_<NAME>``."""

    # Unusual is no proof of bad: the service goes on when nobody can look.
    on_failure: Literal["closed", "open"] = setting(
        "open",
        "What happens to a request when the layer itself fails: `closed` refuses it with 503, `open` lets it pass. "
        "A store that does not answer is no such failure: another takes its place.",
        readers.one_of("closed", "open"),
    )
    rule_modes: tuple[tuple[str, Mode], ...] = setting(
        (), 'Modes of single rules, such as `{"session.denied": "monitor"}`.', readers.modes_by_rule(RULES)
    )
    identity: IdentitySource = setting(
        IdentitySource("authorization"),
        "Who a session is: `authorization` (the credential), `header:NAME`, `cookie:NAME`, `claim:NAME` (of the JSON "
        "Web Token in Authorization), `account` (what the application names with `bsguard.identify`), or a function of "
        "the environ. Only a keyed hash of it is kept.",
        identity_source,
    )
    refused_statuses: tuple[int, ...] = setting(
        (401,),
        "Statuses by which the application says that it refuses the credential, where it names no accounts.",
        readers.many(readers.whole(400, 499), "a list of statuses"),
    )
    score_min: int = setting(
        100,
        "Lowest score that is reported. 100 is meant for one false alarm in a thousand days of sessions; more is "
        "calmer. Below 100 nothing but reports follows.",
        readers.whole(1, 1_000_000),
    )
    actions: tuple[tuple[Signal, Action], ...] = setting(
        (),
        'What follows from each signal in enforce mode, such as `{"leak": "deny", "probing": "throttle"}`: `log` (the '
        "default), `throttle`, `deny`, or `revoke`, which denies and calls `BSGUARD_SESSION_REVOKE`.",
        actions,
    )
    # An hour's work of an attacker is lost, and a false alarm is over before the day is.
    action_seconds: int = setting(
        3600, "For how long a session is throttled or denied; a new finding begins it anew.", readers.whole(1, 604_800)
    )
    throttle_seconds: int = setting(
        2, "Seconds between two requests of a session that is throttled.", readers.whole(1, 3600)
    )
    revoke: Callable[[str, str], object] | None = setting(
        None,
        "The application's own function that revokes a credential, or its `module:name`; called with the session and "
        "the account.",
        hook,
    )
    sequences: tuple[Sequence, ...] = setting(
        (),
        'Rules about the order of calls: a list of {"name", "operation", "after", "within_seconds", '
        '"interval_seconds", "action"}.',
        readers.many(Sequence.parse, "a list of sequence rules"),
    )
    cloud_networks: Networks = setting(
        NO_NETWORKS,
        "Networks of cloud providers and anonymisers. A session's first use from one of them counts twice.",
        readers.networks,
    )
    # Less than 3 KiB each, about 4 with what a store adds.
    profiles_count_max: int = setting(
        50_000,
        "Most sessions that are remembered, and accounts, by which a new key finds what the last was used to; the one "
        "not seen for longest goes first.",
        readers.whole(100, 5_000_000),
    )

    def rule_ids(self, settings: Settings) -> tuple[str, ...]:  # noqa: ARG002
        """Ids of the operator's own rules."""
        return tuple(SEQUENCES + rule.name for rule in self.sequences)

    def problems(self, settings: Settings, prefix: str) -> Iterator[Problem]:  # noqa: ARG002  none is about global ones
        """What of these settings cannot take effect."""
        names = [rule.name for rule in self.sequences]
        if len(set(names)) != len(names):
            message = "has two rules of one name; events and exceptions go by it"
            yield Problem(CONTRADICTION, f"{prefix}SEQUENCES", message)
        if self.revoke is None and any(action == "revoke" for _, action in self.actions):
            message = f"revokes, and {prefix}REVOKE names no function that would"
            yield Problem(CONTRADICTION, f"{prefix}ACTIONS", message)
