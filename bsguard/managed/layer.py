"""The managed layer: the OWASP Core Rule Set judges requests, and reports on answers where that is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from bsguard.core import codes
from bsguard.core.config import CONTRADICTION
from bsguard.core.errors import ConfigError, Problem
from bsguard.core.events import ResponseMatched
from bsguard.managed.config import ManagedConfig
from bsguard.managed.folder import WITHOUT_RULES
from bsguard.managed.rules import RULES
from bsguard.seclang.engine import Engine
from bsguard.seclang.layer import RulesLayer, matched_facts
from bsguard.seclang.operators import integer
from bsguard.seclang.request import Response, text_bytes
from bsguard.seclang.ruleset import RuleSet

if TYPE_CHECKING:
    from bsguard.core.driver import ResponseHead
    from bsguard.core.request import Request
    from bsguard.seclang.bodies import Limits
    from bsguard.seclang.model import Rule

_LEVEL: Final = "paranoia-level/"
#: Rules by which CRS holds its own set-up against what it needs.
_INITIALIZATION: Final = range(901_000, 902_000)
#: What any client sends.
_PLAIN: Final = (("Host", "localhost"), ("User-Agent", "bsguard"), ("Accept", "*/*"))


class Managed(RulesLayer[ManagedConfig]):
    """Judges requests by the OWASP Core Rule Set, 4 or 3.3.

    The rules are read and compiled when the layer is made. Without a rule set the layer does nothing.
    """

    name: ClassVar[str] = "managed"
    config_class = ManagedConfig
    rules = RULES
    refused = codes.ATTACK_REFUSED
    unreadable = codes.UNREADABLE_CONTENT
    over_limit = codes.CONTENT_OVER_LIMIT

    def prepare(self) -> None:
        """Load the rules, unless they are only about to be installed."""
        if WITHOUT_RULES.get():
            self.mode = "off"
        super().prepare()
        if self.mode != "off":
            self._try()

    def _try(self) -> None:
        """Make sure that the set-up is one that the rule set can work with: it refuses every request otherwise."""
        seen = self.rule_set.inspect(headers=_PLAIN)
        if seen.verdict.rule_id in _INITIALIZATION:
            said = next((match.message for match in seen.matches if match.rule_id == seen.verdict.rule_id), "")
            message = f"the rule set refuses every request as it is set up, by rule {seen.verdict.rule_id}: {said}"
            raise ConfigError([Problem(CONTRADICTION, "BSGUARD_MANAGED_CRS_SETUP", message)])

    def load_rules(self, limits: Limits) -> RuleSet:
        """The rule set, set up as the settings say; its problems were told when these were read."""
        program = self.config.program()
        if program is None:
            raise RuntimeError("the rules were there a moment ago, and cannot be read now")
        return RuleSet(program, limits=limits)

    def counts(self, engine: Engine, rule: Rule) -> bool:
        """Whether the rule's paranoia level is one that counts towards refusing."""
        tx = engine.transaction.stores["TX"]
        blocking = integer(tx.get(b"blocking_paranoia_level", b"") or tx.get(b"paranoia_level", b"") or b"4")
        levels = [int(tag[len(_LEVEL) :]) for tag in rule.tags if tag.startswith(_LEVEL) and tag[-1].isdigit()]
        return not levels or max(levels) <= blocking

    def response_bytes_kept(self, request: Request) -> int:  # noqa: ARG002
        """Answers are looked at where that is wanted."""
        return self.config.response_bytes_max if self.config.response else 0

    def observe(self, request: Request, response: ResponseHead) -> None:
        """Let the rules see the answer, and report what they find. It is on its way already, so nothing is refused."""
        engine = request.memo.pop(self, None)
        if not isinstance(engine, Engine) or not self.config.response or response.refused_by:
            return
        reported, spared = len(engine.matches), len(engine.spared)
        headers = tuple((text_bytes(name), text_bytes(value)) for name, value in response.headers)
        coded = any(name.lower() == b"content-encoding" for name, _ in headers)
        if response.body is None or coded:  # too long to be kept, or compressed
            engine.machine.response_body = False
        engine.response(Response(response.status, headers, response.body or b""))
        for match in (*engine.matches[reported:], *engine.spared[spared:]):
            finding = self._finding(engine, match, "log")
            ruling = self.policy.rule_on(finding, request)
            decides = not engine.verdict.allowed and match.rule_id == engine.verdict.rule_id
            event = ResponseMatched(
                time=self.clock.now(),
                request_id=request.id,
                layer=self.name,
                rule=finding.rule,
                status=response.status,
                reason=finding.reason,
                action="excepted" if ruling.outcome == "except" else "over_threshold" if decides else "logged",
                **matched_facts(match),
            )
            self.emit(event)
