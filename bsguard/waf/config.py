"""Settings of the WAF layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from bsguard.core import readers
from bsguard.core.config import CONTRADICTION, UNREADABLE, Wanted, nearest, setting
from bsguard.core.errors import Problem
from bsguard.seclang import RuleError, parser
from bsguard.seclang.layer import RulesConfig
from bsguard.waf.catalogue import FOLDER, OWN_IDS_MIN, descriptions, program, reported
from bsguard.waf.profiles import Profile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bsguard.core.settings import Mode, Settings
    from bsguard.seclang.model import Program

#: Stands for the rules of the operator's own files; which there are is known once those are read.
_ANY: Final = "waf.*"


def _file(value: object) -> Path:
    path = readers.folder(value)
    if path is None:
        raise Wanted("a path")
    return path


@lru_cache(maxsize=8)
def read_rules(paths: tuple[Path, ...], *, defaults: bool) -> Program:
    """Our rules and those of the operator. Raises :class:`~bsguard.seclang.errors.RuleError`."""
    if not paths:
        return program()
    return parser.load([*([FOLDER / "*.conf"] if defaults else [FOLDER / "000-settings.conf"]), *paths])


@dataclass(frozen=True, slots=True, kw_only=True)
class WafConfig(RulesConfig):
    """Settings of the WAF layer, ``BSGUARD_WAF_<NAME>``."""

    rule_modes: tuple[tuple[str, Mode], ...] = setting(
        (), 'Modes of single rules, such as `{"waf.102001": "monitor"}`.', readers.modes_by_rule({_ANY})
    )
    rules: tuple[Path, ...] = setting(
        (),
        "Rule files of your own in SecLang, paths or patterns; they come after ours. Their ids begin at 900000.",
        readers.many(_file, "a list of paths"),
    )
    defaults: bool = setting(True, "Whether the rules that come with the package are used.", readers.flag)
    profiles: tuple[Profile, ...] = setting(
        (),
        'What parameters are for: a list of {"path", "parameter", "profile"}, the profile `free_text` or `secret`. '
        "Rules that cannot work for such a value do not look at it.",
        readers.many(Profile.parse, "a list of profiles"),
    )

    @property
    def idle(self) -> bool:
        """Without any rule there is nothing to do."""
        return not self.defaults and not self.rules

    def rule_ids(self, settings: Settings) -> tuple[str, ...]:  # noqa: ARG002
        """Ids of the operator's own rules."""
        if not self.rules:
            return ()
        try:
            rules = read_rules(self.rules, defaults=self.defaults).rules
        except RuleError:  # told by problems()
            return ()
        return tuple(f"waf.{rule.id}" for rule in reported(rules) if rule.id >= OWN_IDS_MIN)

    def problems(self, settings: Settings, prefix: str) -> Iterator[Problem]:
        """What is wrong with the rule files, and modes of rules that there are not."""
        yield from self.parameter_problems(settings, "waf", prefix)
        if self.idle:
            return
        try:
            found = read_rules(self.rules, defaults=self.defaults)
        except RuleError as error:
            for problem in error.problems:
                yield Problem(UNREADABLE, f"{prefix}RULES", str(problem))
            return
        yield from self.engine_problems(found, "RULES", prefix)
        if self.rules and not any(rule.id >= OWN_IDS_MIN for rule in found.rules):
            yield Problem(CONTRADICTION, f"{prefix}RULES", f"has no rule with an id from {OWN_IDS_MIN} on")
        known = [*descriptions(), *self.rule_ids(settings)]
        for rule, _ in self.rule_modes:
            if rule not in known:
                close = nearest(rule, known)
                remedy = f"did you mean {close}?" if close else "see docs/reference/waf.md"
                yield Problem(CONTRADICTION, f"{prefix}RULE_MODES", f"names a rule that there is not; {remedy}")
