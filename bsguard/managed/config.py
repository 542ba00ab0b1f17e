"""Settings of the managed layer."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from bsguard.core import readers
from bsguard.core.config import CONTRADICTION, UNREADABLE, UNUSABLE_RULES, Wanted, setting
from bsguard.core.errors import Problem
from bsguard.core.grammar import MEDIA_TYPE
from bsguard.core.settings import DEFAULT_STATE_DIR
from bsguard.managed.folder import WITHOUT_RULES, installed_in
from bsguard.managed.rules import RULES
from bsguard.managed.sources import read_program, rule_files
from bsguard.seclang.errors import RuleError
from bsguard.seclang.layer import RulesConfig
from bsguard.seclang.prefilter.scanners import available

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bsguard.core.settings import Mode, Settings
    from bsguard.seclang.model import Program

_PLACES = "a list of paths of rule files"


def _media_type(value: object) -> str:
    word = readers.text(value).strip().lower()
    if not MEDIA_TYPE.fullmatch(word):
        raise Wanted("a media type such as image/png")
    return word


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedConfig(RulesConfig):
    """Settings of the managed layer, ``BSGUARD_MANAGED_<NAME>``."""

    rule_modes: tuple[tuple[str, Mode], ...] = setting(
        (),
        'Modes of single rules, such as `{"managed.942100": "monitor"}`: a monitored rule is reported and adds no '
        "score, one that is off is not run.",
        readers.modes_by_rule(RULES),
    )
    crs: bool | None = setting(
        None, "Whether the OWASP Core Rule Set judges requests; default: if `…CRS_DIR` names one.", readers.flag
    )
    crs_dir: Path | None = setting(
        None,
        "Folder of a Core Rule Set, 4 or 3.3, with `rules` in it; default: what `flask bsguard crs install` has "
        "installed.",
        readers.folder,
    )
    crs_setup: Path | None = setting(
        None,
        "Your own `crs-setup.conf`; default: the one in the folder, else the example there. The settings below "
        "overrule it where they are set.",
        readers.folder,
    )
    paranoia_level: int | None = setting(
        None,
        "Paranoia level whose rules count towards refusing, 1 to 4; default: that of the set-up file, else 1.",
        readers.whole(1, 4),
    )
    detection_paranoia_level: int | None = setting(
        None,
        "Paranoia level whose rules are run and reported; not below `…PARANOIA_LEVEL`, which is the default.",
        readers.whole(1, 4),
    )
    inbound_threshold: int | None = setting(
        None,
        "Anomaly score from which a request is refused; default: that of the set-up file, else 5, which one critical "
        "rule reaches.",
        readers.whole(1, 10_000),
    )
    outbound_threshold: int | None = setting(
        None,
        "Anomaly score from which an answer is reported; default: that of the set-up file, else 4.",
        readers.whole(1, 10_000),
    )
    early_blocking: bool | None = setting(
        None,
        "Whether a request is refused by its head alone where that has the score already; default: that of the set-up "
        "file, else not.",
        readers.flag,
    )
    allowed_methods: tuple[str, ...] = setting(
        (),
        "Methods that the rule set lets pass, in place of its own list; CRS has `GET`, `HEAD`, `POST` and `OPTIONS`.",
        readers.many(readers.method, "a list of methods"),
    )
    allowed_content_types: tuple[str, ...] = setting(
        (),
        "Media types of bodies that the rule set lets pass, in place of its own list; CRS has forms, multipart, JSON "
        "and XML.",
        readers.many(_media_type, "a list of media types"),
    )
    exclusions_before: tuple[Path, ...] = setting(
        (),
        "Rule files of your own that run before the rule set: exclusions at run time, with `ctl`.",
        readers.many(readers.path, _PLACES),
    )
    exclusions_after: tuple[Path, ...] = setting(
        (),
        "Rule files of your own that are read after the rule set: exclusions for good, such as `SecRuleRemoveById`.",
        readers.many(readers.path, _PLACES),
    )
    plugins_dir: Path | None = setting(
        None,
        "Folder of CRS plugins: `*-config.conf`, `*-before.conf` and `*-after.conf`.",
        readers.folder,
    )
    response: bool = setting(
        False, "Whether answers are looked at too. What rules find there is reported and changes nothing.", readers.flag
    )
    response_bytes_max: int = setting(
        65_536, "Longest body of an answer that is looked at.", readers.whole(1_024, 16 * 1024 * 1024)
    )
    allow_slow_tier: bool = setting(
        False,
        "Whether the Core Rule Set may run on Python's `re` alone, where google-re2 has no wheel: several hundred "
        "milliseconds for 16 KB, and no bound on what a hostile request costs.",
        readers.flag,
    )

    @property
    def idle(self) -> bool:
        """Without a rule set there is nothing to do."""
        return not (self.crs_dir is not None if self.crs is None else self.crs)

    def settled(self, settings: Settings) -> Self:
        """With the folder of what is installed: a state directory that turns out to be read-only is still read."""
        if self.idle or self.crs_dir is not None:
            return self
        found = installed_in(settings.state_dir or DEFAULT_STATE_DIR)
        return self if found is None else dataclasses.replace(self, crs_dir=found[1])

    def program(self) -> Program | None:
        """The rules; None where there are none, or they cannot be used, which :meth:`problems` tells."""
        if self.idle or self.crs_dir is None:
            return None
        try:
            return read_program(self, self.crs_dir)
        except RuleError:
            return None

    def rule_ids(self, settings: Settings) -> tuple[str, ...]:
        """Ids of the rules of the rule set; whatever exceptions name where it is not in use."""
        program = self.program() if self._used(settings) else None
        if program is None:
            named = (exemption.rule for exemption in settings.exceptions)
            return tuple(rule for rule in named if rule.startswith("managed."))
        return tuple(f"managed.{rule.id}" for rule in program.rules)

    def problems(self, settings: Settings, prefix: str) -> Iterator[Problem]:
        """What of the rule set cannot be used."""
        if not self._used(settings):
            return
        yield from self.parameter_problems(settings, "managed", prefix)
        detection = self.detection_paranoia_level
        if detection is not None and detection < (self.paranoia_level or 1):
            message = f"must not be below {prefix}PARANOIA_LEVEL: what counts must be run"
            yield Problem(CONTRADICTION, f"{prefix}DETECTION_PARANOIA_LEVEL", message)
        if available() == "re" and not self.allow_slow_tier:
            message = (
                "google-re2 is not installed, and on Python's own re the Core Rule Set takes several hundred "
                f"milliseconds for 16 KB; pip install google-re2, or set {prefix}ALLOW_SLOW_TIER to accept that"
            )
            yield Problem(UNUSABLE_RULES, f"{prefix}CRS", message)
        folder = self.crs_dir
        if folder is None:
            message = f"no rule set is installed; run flask bsguard crs install, or name its folder in {prefix}CRS_DIR"
            yield Problem(UNREADABLE, f"{prefix}CRS", message)
            return
        if not rule_files(folder):
            message = f"{folder} holds no rule files such as rules/REQUEST-901-INITIALIZATION.conf"
            yield Problem(UNREADABLE, f"{prefix}CRS_DIR", message)
            return
        yield from self._rule_problems(folder, prefix)

    def _used(self, settings: Settings) -> bool:
        """Whether anything is to be judged; an application that is left alone, as in its tests, needs no rules."""
        left_out = settings.layers is not None and "managed" not in settings.layers
        off = left_out or not settings.enabled or (self.mode or settings.mode) == "off"
        return not (self.idle or off or WITHOUT_RULES.get())

    def _rule_problems(self, folder: Path, prefix: str) -> Iterator[Problem]:
        if self.plugins_dir is not None and not self.plugins_dir.is_dir():
            yield Problem(UNREADABLE, f"{prefix}PLUGINS_DIR", f"{self.plugins_dir} is no folder")
        try:
            program = read_program(self, folder)
        except RuleError as error:
            for one in error.problems:
                yield Problem(UNUSABLE_RULES, f"{prefix}CRS", str(one))
            return
        yield from self.engine_problems(program, "CRS", prefix)
        known = {f"managed.{rule.id}" for rule in program.rules}.union(RULES)
        for rule, _ in self.rule_modes:
            if rule not in known:
                yield Problem(CONTRADICTION, f"{prefix}RULE_MODES", "names a rule that the rule set does not have")
