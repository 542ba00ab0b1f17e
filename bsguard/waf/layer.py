"""The WAF layer: what a request holds is held against rules that know attacks when they see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bsguard.core import codes
from bsguard.core.config import UNREADABLE
from bsguard.core.errors import ConfigError, Problem
from bsguard.seclang import RuleError, RuleSet
from bsguard.seclang.layer import RulesLayer
from bsguard.waf.catalogue import descriptions
from bsguard.waf.config import WafConfig, read_rules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bsguard.core.request import Request
    from bsguard.seclang import Limits
    from bsguard.seclang.engine import Engine
    from bsguard.seclang.request import Request as Asked


class Waf(RulesLayer[WafConfig]):
    """Refuses injections, traversal, scanners and their like, in whatever part of a request and disguise."""

    name: ClassVar[str] = "waf"
    config_class = WafConfig
    rules: ClassVar[Mapping[str, str]] = descriptions()
    refused = codes.ATTACK
    unreadable = codes.UNREADABLE_REQUEST
    over_limit = codes.TOO_MUCH_TO_CHECK

    def load_rules(self, limits: Limits) -> RuleSet:
        """Ours, and those of the operator."""
        config = self.config
        try:
            program = read_rules(config.rules, defaults=config.defaults)
        except RuleError as error:
            raise ConfigError([Problem(UNREADABLE, "WAF RULES", str(one)) for one in error.problems]) from None
        return RuleSet(program, limits=limits)

    def prepare(self) -> None:
        """Work out once which rules each profile leaves out."""
        super().prepare()
        if self.mode == "off":
            return
        rules = self.rule_set.program.rules
        self._profiles = tuple(
            (one, frozenset(rule.id for rule in rules if one.tag in rule.tags)) for one in self.config.profiles
        )

    def begin(self, request: Request, asked: Asked, found: int | None = None) -> Engine:
        """The rules over *request*, without those that cannot work for a parameter."""
        engine = super().begin(request, asked, found)
        for profile, ids in self._profiles:
            if profile.path is None or profile.path.matches(request.path):
                engine.transaction.exclusions.append((ids, profile.parameter.collection, profile.fits))
        return engine
