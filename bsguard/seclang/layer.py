"""What every layer made of rules has in common: requests go through a rule set in two steps, head and body.

A subclass says where its rules come from and which codes its refusals carry. Exceptions and rule modes act before a
rule has any effect: an excepted rule adds no score and refuses nothing, and the event still says that it matched.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from bsguard.core.config import CONTRADICTION, nearest
from bsguard.core.errors import BodyError, Problem
from bsguard.core.events import AnomalyScored, RuleMatched, printable
from bsguard.core.layer import Layer, LayerConfig
from bsguard.core.verdict import ALLOW, Finding, Note, Verdict, body_finding
from bsguard.seclang.bodies import Limits
from bsguard.seclang.bodies.coding import decoded
from bsguard.seclang.engine import Engine
from bsguard.seclang.facts import engine_request
from bsguard.seclang.macros import read_template
from bsguard.seclang.operators import integer
from bsguard.seclang.request import NO_EXCLUSIONS, Exclusions
from bsguard.seclang.variables import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bsguard.core.codes import Code
    from bsguard.core.exemptions import Exemption
    from bsguard.core.request import Request
    from bsguard.core.settings import Mode, Settings
    from bsguard.core.verdict import Action
    from bsguard.seclang.model import Program, Rule
    from bsguard.seclang.request import Exclusion, Match
    from bsguard.seclang.request import Request as Asked
    from bsguard.seclang.ruleset import RuleSet

#: Names of variables in one event, and in one finding.
_VARIABLES_MAX: Final = 5
#: Rules that an event about a score lists.
_RULES_MAX: Final = 20
#: Names of parameters that are remembered for each exception.
_KEYS_MAX: Final = 8192
#: Longer names are not remembered, so that memory stays bounded.
_KEY_BYTES_MAX: Final = 128
_TEXT_BYTES_MAX: Final = 64
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_.\-\[\]$@/*]{1,128}")
_MACRO: Final = re.compile(r"%\{[^}]*\}")
_REFUSING: Final = frozenset({"deny", "drop", "redirect"})
#: Media types of bodies that are files, where a path is declared to take some.
_FILES: Final = re.compile(r"(?:image|audio|video|font)/.+|application/octet-stream")

#: Rules that every layer of this kind has besides those of its rule set; their ids begin with the layer's name.
OWN_RULES: Final = {
    "unreadable": "The body or query cannot be read as what it says it is, so the rules could not see all of it.",
    "limit": "The body or query has more, longer or deeper parts than the rules look at.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesConfig(LayerConfig):
    """What the settings of such a layer have in common. ``rule_modes`` is a setting of the subclass."""

    def parameter_problems(self, settings: Settings, layer: str, prefix: str) -> Iterator[Problem]:
        """Exceptions of *settings* that name a parameter which no rule of *layer* could look at."""
        for exemption in settings.exceptions:
            parameter = exemption.parameter
            ours = not exemption.rule or exemption.rule.startswith(f"{layer}.")
            if parameter is None or not ours or parameter.collection in NAMES:
                continue
            close = nearest(parameter.collection, NAMES)
            remedy = f"did you mean {close}?" if close else "write one such as ARGS:prompt"
            yield Problem(CONTRADICTION, f"{prefix}EXCEPTIONS", f"names a parameter that rules cannot see; {remedy}")

    def engine_problems(self, program: Program, key: str, prefix: str) -> Iterator[Problem]:
        """Rules of *program* that would switch the whole layer off without a word; *key* is the setting they are of."""
        engine = program.options.engine
        if engine != "On":
            message = f"the rule files say SecRuleEngine {engine}, so nothing would be refused; remove that, and set "
            yield Problem(CONTRADICTION, f"{prefix}{key}", f"{message}{prefix}MODE")


C = TypeVar("C", bound=RulesConfig)


class RulesLayer(Layer[C]):
    """A layer whose decisions a rule set makes."""

    knows_parameters: ClassVar[bool] = True
    #: What the client is told when a rule refuses, when body or query cannot be read, and when they pass a limit.
    refused: ClassVar[Code]
    unreadable: ClassVar[Code]
    over_limit: ClassVar[Code]
    rule_set: RuleSet

    @abstractmethod
    def load_rules(self, limits: Limits) -> RuleSet:
        """The rules; raises :class:`~bsguard.core.errors.ConfigError` with all their problems."""

    def prepare(self) -> None:
        """Load the rules, and work out once what exceptions and modes mean for them."""
        if self.config.idle:
            self.mode = "off"
        if self.mode == "off":
            return
        self.rule_set = self.load_rules(Limits(body_bytes_max=self.settings.inspect_bytes_max))
        self._rules = {rule.id: rule for rule in self.rule_set.program.rules}
        modes: tuple[tuple[str, Mode], ...] = getattr(self.config, "rule_modes", ())
        self._off = self._ids_in(modes, "off")
        self._monitored = self._ids_in(modes, "monitor")
        usual = Exclusions(self._off, self._monitored)
        self._usual = usual if modes else NO_EXCLUSIONS
        self._known: tuple[tuple[Exemption, ...], tuple[_Excepted, ...]] = ((), ())

    def inspect_head(self, request: Request) -> Verdict:
        """Phase 1; on a streaming path phase 2 as well, which then sees no body."""
        asked = engine_request(request)
        glance = self.rule_set.glance
        found = None if glance is None else glance.of_head(asked)
        if found is not None:
            request.memo[self] = _Clear(asked, found)
            return ALLOW
        engine = request.memo[self] = self.begin(request, asked)
        engine.head()
        if request.streaming:
            engine.body(b"")
        return self._verdict(engine, 0, 0)

    def inspect_body(self, request: Request) -> Verdict:
        """Phase 2. A body that is too large or broken is a finding, and the rules see everything else."""
        so_far: Engine | _Clear | None = request.memo.get(self)
        if so_far is None or (isinstance(so_far, Engine) and not so_far.going_on):
            return ALLOW
        body, broken = b"", None
        if request.body.present and self._wants_body(request, so_far):
            try:
                body = request.body.read(self._body_bytes_max(request))
            except BodyError as error:
                broken = body_finding(error)
        coding = request.header("HTTP_CONTENT_ENCODING") if body else ""
        if coding:
            seen = decoded(body, coding, self.settings.inspect_bytes_max)
            body = seen.body
            broken = Finding(f"{self.name}.unreadable", self.unreadable, seen.error) if seen.error else None
        verdict = self._with_body(request, so_far, body)
        if broken is None:
            return verdict
        return Verdict((*verdict.findings, broken), unreadable=request.body.failed)

    def _with_body(self, request: Request, so_far: Engine | _Clear, body: bytes) -> Verdict:
        """What the rules make of the whole request."""
        if isinstance(so_far, Engine):
            engine = so_far
        elif not body:
            return ALLOW
        else:
            engine = request.memo[self] = self.begin(request, so_far.asked, so_far.found)
            engine.head()
        reported, spared = len(engine.matches), len(engine.spared)
        engine.body(body)
        return self._verdict(engine, reported, spared)

    def begin(self, request: Request, asked: Asked, found: int | None = None) -> Engine:
        """The rules over *request*, which is *asked* in the engine's terms; none has run. *found* is of the glance."""
        return self.rule_set.begin(asked, self._exclusions(request), found)

    def counts(self, engine: Engine, rule: Rule) -> bool:  # noqa: ARG002  for subclasses to say
        """Whether what *rule* adds to a score is among what decides."""
        return True

    def _wants_body(self, request: Request, so_far: Engine | _Clear) -> bool:
        """Whether the rules look into the body at all."""
        if isinstance(so_far, Engine) and not so_far.transaction.request_body:
            return False
        if not self.rule_set.looks_at(2):
            return False
        paths = self.settings.file_paths
        if not paths or not any(pattern.matches(request.path) for pattern in paths):
            return True
        media_type = request.media_type
        return media_type is None or not _FILES.fullmatch(media_type.essence)

    def _body_bytes_max(self, request: Request) -> int:
        """What of multipart is a file does not count; the engine holds the rest of it to the inspection limit."""
        media_type = request.media_type
        files = media_type is not None and media_type.essence == "multipart/form-data"
        return self.settings.body_bytes_max if files else self.settings.inspect_bytes_max

    # Exceptions and modes, before any rule acts.

    def _ids_in(self, modes: tuple[tuple[str, Mode], ...], mode: Mode) -> frozenset[int]:
        names = {name for name, own in modes if own == mode}
        return frozenset(number for number in self._rules if f"{self.name}.{number}" in names)

    def _exclusions(self, request: Request) -> Exclusions:
        """What *request* is not held to."""
        now = self.clock.now()
        exemptions = self.policy.exemptions(now)
        if not exemptions:
            return self._usual
        known = self._known  # read once: another thread may be at a newer list
        if exemptions is not known[0]:
            self._known = known = (exemptions, tuple(filter(None, map(self._excepted, exemptions))))
        held = [one for one in known[1] if one.exemption.holds(request, now)]
        if not held:
            return self._usual
        whole = (one.ids for one in held if one.target is None)
        targets = tuple(one.target for one in held if one.target is not None)
        return Exclusions(self._off, self._monitored.union(*whole), targets)

    def _excepted(self, exemption: Exemption) -> _Excepted | None:
        """An exception in terms of the rule set; None if it is about none of its rules."""
        rules = self._rules.values()
        ids = frozenset(rule.id for rule in rules if exemption.names(f"{self.name}.{rule.id}", rule.tags))
        if not ids:
            return None
        parameter = exemption.parameter
        if parameter is None:
            return _Excepted(exemption, ids)
        fits = parameter.fits

        def tested(key: bytes) -> bool:
            return fits(key.decode("utf-8", "backslashreplace"))

        remembered = lru_cache(maxsize=_KEYS_MAX)(tested)  # many rules ask about the same few names

        def excludes(key: bytes) -> bool:
            return remembered(key) if len(key) <= _KEY_BYTES_MAX else tested(key)

        return _Excepted(exemption, ids, (ids, parameter.collection, excludes))

    # What became of it.

    def _verdict(self, engine: Engine, reported: int, spared: int) -> Verdict:
        """The findings since the last step."""
        verdict = engine.verdict
        if verdict.allowed and len(engine.matches) == reported and len(engine.spared) == spared:
            return ALLOW
        return Verdict(tuple(self._findings(engine, reported, spared)))

    def _findings(self, engine: Engine, reported: int, spared: int) -> Iterable[Finding]:
        verdict = engine.verdict
        decided = False
        for match in engine.matches[reported:]:
            decides = not verdict.allowed and match.rule_id == verdict.rule_id
            decided = decided or decides
            yield self._finding(engine, match, "deny" if decides else "log")
        for match in engine.spared[spared:]:
            # A rule that only leaves parameters out is not kept from refusing for the others, which it has done then.
            whole = match.rule_id in engine.exclusions.watched
            refuses = whole and self._rules[match.rule_id].disruptive in _REFUSING
            yield self._finding(engine, match, "deny" if refuses else "log")
        if verdict.allowed or decided:
            return
        if verdict.rule_id:  # it decides without a word of its own
            rule = self._rules[verdict.rule_id]
            yield Finding(self._id(rule), self.refused, self._reason(engine, rule), tags=rule.tags)
        else:
            yield self._unread(engine)

    def _finding(self, engine: Engine, match: Match, action: Action) -> Finding:
        rule = self._rules[match.rule_id]
        return Finding(
            self._id(rule),
            self.refused,
            self._reason(engine, rule),
            action,
            tags=rule.tags,
            note=self._scored(engine, rule) or Note(RuleMatched, tuple(matched_facts(match).items())),
            parameters=tuple(found.name for found in match.found),
        )

    def _scored(self, engine: Engine, rule: Rule) -> Note | None:
        """The event of a rule that compares a score with its threshold: both, and what made the score."""
        head = rule.links[0]
        if head.operator is None or head.operator.name != "ge" or rule.disruptive not in _REFUSING:
            return None
        variable = head.variables[0]
        if variable.name != "TX" or variable.key is None or variable.is_pattern or "score" not in variable.key.lower():
            return None
        transaction = engine.transaction
        threshold = integer(transaction.expand(read_template(head.operator.argument)))
        made = [one for one in engine.matches if one.score and self.counts(engine, self._rules[one.rule_id])]
        facts = {
            "layer": self.name,
            "rule": self._id(rule),
            "score": integer(transaction.first("TX", variable.key.lower().encode())),
            "threshold": threshold,
            "rules": tuple(f"{self.name}.{one.rule_id} {one.score:+d}" for one in made[:_RULES_MAX]),
        }
        return Note(AnomalyScored, tuple(facts.items()))

    def _unread(self, engine: Engine) -> Finding:
        unread = engine.transaction.unread
        if unread is not None and unread.limit:
            return Finding(f"{self.name}.limit", self.over_limit, f"{unread.limit} is passed")
        return Finding(f"{self.name}.unreadable", self.unreadable, unread.error if unread is not None else "")

    def _id(self, rule: Rule) -> str:
        return f"{self.name}.{rule.id}"

    def _reason(self, engine: Engine, rule: Rule) -> str:
        """The rule's message. Of its macros only scores are filled in: others may hold what the client sent."""

        def filled(macro: re.Match[str]) -> str:
            name = macro[0][2:-1].lower().removeprefix("tx.")
            value = engine.transaction.stores["TX"].get(name.encode(), b"") if "score" in name else b""
            return value.decode() if value.isdigit() else "…"

        return printable(_MACRO.sub(filled, rule.message)) or "a rule without a message"


@dataclass(frozen=True, slots=True)
class _Clear:
    """A request whose head no rule can match, and what of it rules wait for all the same."""

    asked: Asked
    found: int


@dataclass(frozen=True, slots=True)
class _Excepted:
    """An exception, the rules that it is about, and what of the request they do not look at, if it is only that."""

    exemption: Exemption
    ids: frozenset[int]
    target: Exclusion | None = None


def matched_facts(match: Match) -> dict[str, Any]:
    """What an event tells of a match."""
    names = tuple(_shown(found.name) for found in match.found[:_VARIABLES_MAX])
    text = masked(match.found[0].part) if match.found else ""
    return {"variables": names, "text": text, "score": match.score}


def _shown(name: str) -> str:
    """The name of a variable; one that no developer gives to a parameter, as its shape: it may be anything."""
    collection, colon, key = name.partition(":")
    if not key or _PLAIN_NAME.fullmatch(key):
        return name
    return collection + colon + masked(key.encode("utf-8", "backslashreplace"))


def masked(part: bytes) -> str:
    """The shape of *part*, cut: enough to see what a rule matched on, and nothing that could be a secret."""
    return part[:_TEXT_BYTES_MAX].translate(_MASK).decode("ascii")


def _mask(byte: int) -> int:
    char = chr(byte)
    if not 32 <= byte < 127:
        return ord("?")
    return ord("x") if char.isalpha() else ord("0") if char.isdigit() else byte


_MASK: Final = bytes(map(_mask, range(256)))
