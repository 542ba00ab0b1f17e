"""A layer made of a handful of rules that score and decide as CRS does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bsguard.core import codes, readers
from bsguard.core.config import setting
from bsguard.core.overrides import Override
from bsguard.seclang import RuleSet
from bsguard.seclang.layer import RulesConfig, RulesLayer
from bsguard.testing import FakeClock, environ, run

if TYPE_CHECKING:
    from bsguard.core.settings import Mode, Settings
    from bsguard.seclang import Limits
    from bsguard.testing import Answer

NOW = 1_700_000_000.0  # where FakeClock starts

#: Two rules that score, one of phase 1 that refuses, and one that refuses by score.
RULES = r"""
SecAction "id:900,phase:1,pass,nolog,setvar:tx.limit=5"
SecRule REQUEST_HEADERS:User-Agent "@contains scanner" "id:913,phase:1,deny,log,msg:'Scanner',tag:'attack-scanner'"
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|XML:/* "@rx (?i)union\s+select" \
    "id:942,phase:2,pass,log,capture,t:urlDecodeUni,msg:'SQL in %{MATCHED_VAR_NAME}',\
    logdata:'%{TX.0}',tag:'attack-sqli',tag:'language-sql',setvar:tx.anomaly_score=+5"
SecRule ARGS|REQUEST_COOKIES|REQUEST_BODY "@rx (?i)<script" \
    "id:941,phase:2,pass,log,msg:'Script',tag:'attack-xss',setvar:tx.anomaly_score=+3"
SecRule REQUEST_FILENAME "@contains /etc/passwd" "id:930,phase:2,deny,log,msg:'File',tag:'attack-lfi'"
SecRule TX:anomaly_score "@ge %{tx.limit}" "id:949,phase:2,deny,log,msg:'Score %{TX.ANOMALY_SCORE} %{TX.0}'"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallConfig(RulesConfig):
    """Its settings."""

    rule_modes: tuple[tuple[str, Mode], ...] = setting((), "Modes.", readers.modes_by_rule({"waf.*": ""}))

    def problems(self, settings: Settings, prefix: str) -> Any:
        """Of exceptions."""
        yield from self.parameter_problems(settings, "waf", prefix)


class Small(RulesLayer[SmallConfig]):
    """The layer."""

    name = "waf"
    config_class = SmallConfig
    refused = codes.BLOCKED
    unreadable = codes.BODY_BROKEN
    over_limit = codes.BODY_TOO_LARGE
    text: ClassVar[str] = RULES

    def load_rules(self, limits: Limits) -> RuleSet:
        """The rules above."""
        return RuleSet.parse(self.text, limits=limits)


class Table:
    """Run-time exceptions held in memory."""

    def __init__(self, *values: dict[str, Any]) -> None:
        self.entries = tuple(
            Override(kind="exception", value=value, author="me", comment="why", created=NOW) for value in values
        )

    def active(self, kind: Any, now: float, /) -> tuple[Override, ...]:
        """Those that have not expired."""
        del now
        return self.entries if kind == "exception" else ()


class Judged:
    """What one layer made of one request."""

    def __init__(self, answer: Answer, events: list[Any]) -> None:
        self.status = answer.status
        self.code = answer.body.decode()
        self.events = events

    def rules(self, *names: str) -> list[str]:
        """The rules of the events called one of *names*."""
        return [event.rule.partition(".")[2] for event in self.events if event.name in names]

    def one(self, name: str) -> Any:
        """The only event called *name*."""
        (found,) = (event for event in self.events if event.name == name)
        return found

    @property
    def denied(self) -> list[str]:
        """The rules that refused it."""
        return self.rules("request.denied")

    @property
    def matched(self) -> list[str]:
        """The rules that matched and had their effect."""
        return self.rules("rule.matched", "anomaly.scored")

    @property
    def excepted(self) -> list[str]:
        """The rules that an exception covered."""
        return self.rules("rule.excepted")


def judge(
    request: dict[str, Any] | None = None,
    *,
    layer: type[RulesLayer[Any]] = Small,
    config: Any = None,
    app: Any = None,
    **common: Any,
) -> Judged:
    """Let *layer* judge *request*."""
    events: list[Any] = []
    guarded = layer(app or hello, config, emit=events.append, **{"clock": FakeClock(), **common})
    return Judged(run(guarded, request or environ()), events)


def hello(_environ: Any, start_response: Any) -> list[bytes]:
    """An application."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
