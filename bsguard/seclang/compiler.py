"""From rules as data to rules that run: operators built, targets resolved, jumps turned into positions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from bsguard.seclang import operators, updates
from bsguard.seclang.macros import constant, read_template
from bsguard.seclang.model import Marker, Rule
from bsguard.seclang.patterns import compile_pattern, translate
from bsguard.seclang.prefilter.chains import inert_bytes
from bsguard.seclang.prefilter.literals import needed
from bsguard.seclang.prefilter.needles import PART_OF
from bsguard.seclang.transforms import TRANSFORMS
from bsguard.seclang.txnames import Names
from bsguard.seclang.variables import read_updates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bsguard.seclang.courses import Course
    from bsguard.seclang.macros import Template
    from bsguard.seclang.model import Control, Link, Program, Variable
    from bsguard.seclang.operators import Captures
    from bsguard.seclang.prefilter import Prefilter
    from bsguard.seclang.transaction import Entry, Transaction

PHASES: Final = (1, 2, 3, 4, 5)
#: Arguments with macros are built as they come; most are the same for every request.
_BUILT_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class Target:
    """One variable that a link looks at, with what it leaves out."""

    name: str
    #: Lower-case key, None for all.
    key: bytes | None = None
    #: Whether a key is meant, if keys are meant by a pattern.
    pattern: Callable[[bytes], bool] | None = None
    counted: bool = False
    skips: Callable[[bytes], bool] | None = None
    #: Part of the request that the prefilter counts the variable to, "" if none.
    part: str = ""

    def covers(self, key: bytes) -> bool:
        """Whether an entry with this key is looked at."""
        if self.key is not None and key.lower() != self.key:
            return False
        if self.pattern is not None and not self.pattern(key):
            return False
        return self.skips is None or not self.skips(key)

    def select(self, transaction: Transaction) -> list[Entry]:
        """The entries to look at; of a counted target, one with the number."""
        if self.key is not None:
            found = transaction.with_key(self.name, self.key)
        else:
            found = transaction.entries(self.name)
            if self.pattern is not None:
                found = [entry for entry in found if self.pattern(entry[0])]
        if self.skips is not None:
            found = [entry for entry in found if not self.skips(entry[0])]
        if self.counted:
            return [(self.key or b"", b"%d" % len(found))]
        return found


@dataclass(frozen=True, slots=True)
class Setter:
    """A ``setvar``, its texts taken apart."""

    collection: str
    key: Template
    sign: str
    value: Template


@dataclass(frozen=True, slots=True)
class Runnable:
    """One link, ready to run."""

    targets: tuple[Target, ...]
    #: None where the argument has macros, and for a SecAction.
    match: Callable[[bytes], Captures | None] | None
    operator: str
    argument: Template
    negated: bool
    transformations: tuple[Callable[[bytes], bytes], ...]
    #: Their names.
    chain: frozenset[str]
    #: The bytes of which values are made that no transformation changes, None if that is not a question of bytes.
    inert: bytes | None
    multi_match: bool
    capture: bool
    setters: tuple[Setter, ...]
    controls: tuple[Callable[[Transaction, Machine], None], ...]

    def stages(self, value: bytes) -> list[bytes]:
        """What the operator sees of a value; with multiMatch, every different stage on the way."""
        if self.inert is not None and not value.translate(None, self.inert):
            return [value]
        stages = [value]
        for transform in self.transformations:
            value = transform(value)
            if self.multi_match and value != stages[-1]:
                stages.append(value)
        return stages if self.multi_match else [value]

    def matches(self, value: bytes) -> bool:
        """Whether the operator matches on a value; it may, where its argument holds macros."""
        match = self.match
        return match is None or any((match(stage) is None) == self.negated for stage in self.stages(value))

    def bound(self, transaction: Transaction) -> Callable[[bytes], Captures | None]:
        """The operator with its argument's macros filled in."""
        return self.match or _built(self.operator, transaction.expand(self.argument))


@dataclass(frozen=True, slots=True)
class Step:
    """One rule, ready to run."""

    rule: Rule
    links: tuple[Runnable, ...]
    message: Template
    data: Template
    #: Position in the phase to go on at after a match, None for the next.
    jump: int | None = None
    #: Whether, once it has matched, nothing is known beforehand of the rules after it.
    disturbs: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A program, ready to run: the steps of each phase in order."""

    phases: dict[int, tuple[Step, ...]] = field(default_factory=dict)
    #: What TX holds before the first rule runs.
    initial: Mapping[bytes, bytes] = field(default_factory=dict)
    #: What is reported of TX: names that stand in the rules, and are not written by the beginnings of chains alone.
    names: frozenset[bytes] = frozenset()
    #: None where every rule is evaluated for every request.
    shortcuts: Shortcuts | None = None


@dataclass(frozen=True, slots=True)
class Shortcuts:
    """What saves evaluating rules; it never changes what comes of them."""

    prefilter: Prefilter
    #: Bits of the steps of each phase that only ask and change TX.
    settled: Mapping[int, int]
    #: The ids of their rules.
    settled_ids: frozenset[int]
    #: What these come to where nothing else has changed it, by the phases gone through, the last of them included.
    courses: Mapping[tuple[int, ...], Course]


class Machine:
    """What a control may change besides the transaction: whether the engine goes on."""

    __slots__ = ("engine", "response_body")

    def __init__(self, engine: str, *, response_body: bool) -> None:
        self.engine = engine
        self.response_body = response_body


@lru_cache(maxsize=_BUILT_MAX)
def _built(name: str, argument: bytes) -> Callable[[bytes], Captures | None]:
    return operators.build(name, argument)


def compile_program(program: Program, initial: Mapping[bytes, bytes] | None = None) -> Plan:
    """Make a plan of *program*, without shortcuts."""
    phases = {}
    for phase in PHASES:
        items = [item for item in program.items if isinstance(item, Marker) or item.phase == phase]
        steps: list[Step] = []
        for index, item in enumerate(items):
            if isinstance(item, Rule):
                steps.append(build_step(item, _jump(item, index, items, len(steps)), program))
        phases[phase] = tuple(steps)
    reported = Names(set(initial or ()))
    for rule in program.rules:
        for change in rule.links[-1].set_variables:
            reported.add_setter(change.key)
    return Plan(phases, initial or {}, frozenset(reported.exact))


def _jump(rule: Rule, index: int, items: list[Rule | Marker], position: int) -> int | None:
    """Where to go on after *rule*, counted in the phase's rules; past the end where the marker is not ahead."""
    if rule.skip:
        return position + 1 + rule.skip
    if not rule.skip_after:
        return None
    place = position + 1
    for item in items[index + 1 :]:
        if isinstance(item, Marker):
            if item.name == rule.skip_after:
                return place
            continue
        place += 1
        if str(item.id) == rule.skip_after:
            return place
    return place


def build_step(rule: Rule, jump: int | None, program: Program) -> Step:
    """Make *rule* ready to run."""
    links = tuple(_runnable(link, program) for link in rule.links)
    controls = [one for link in rule.links for one in link.controls]
    disturbs = jump is not None or rule.disruptive != "pass" or any(map(_is_about_tx, controls))
    return Step(rule, links, read_template(rule.message), read_template(rule.data), jump, disturbs)


def _is_about_tx(control: Control) -> bool:
    """Whether a control may change what rules do that ask TX, other than taking them out."""
    return control.name == "ruleengine" or any(one.name == "TX" for one in read_updates(control.target or "ARGS"))


def _runnable(link: Link, program: Program) -> Runnable:
    operator = link.operator
    name, argument, negated = "unconditionalmatch", read_template(""), False
    match: Callable[[bytes], Captures | None] | None = None
    if operator is not None:
        name, negated = operator.name, operator.negated
        if name in operators.WITH_MACROS:
            argument = read_template(operator.argument)
            fixed = constant(argument)
        else:
            fixed = operator.argument.encode("utf-8", "surrogateescape")
        if fixed is not None:
            match = operators.build(name, fixed, operator.folder, captures=link.capture)
    return Runnable(
        targets=resolve_targets(link.variables),
        match=match,
        operator=name,
        argument=argument,
        negated=negated,
        transformations=tuple(TRANSFORMS[one] for one in link.transformations),
        chain=frozenset(link.transformations),
        inert=inert_bytes(link.transformations),
        multi_match=link.multi_match,
        capture=link.capture,
        setters=tuple(
            Setter(one.collection, read_template(one.key), one.sign, read_template(one.value))
            for one in link.set_variables
        ),
        controls=tuple(_control(one, program) for one in link.controls),
    )


def resolve_targets(variables: Iterable[Variable]) -> tuple[Target, ...]:
    """The targets of a link; what is excluded is attached to the targets of the same name."""
    variables = tuple(variables)
    skips: dict[str, list[Callable[[bytes], bool]]] = {}
    for variable in variables:
        if variable.excluded:
            skips.setdefault(variable.name, []).append(key_test(variable))
    found = []
    for variable in variables:
        if variable.excluded:
            continue
        tests = skips.get(variable.name)
        found.append(
            Target(
                variable.name,
                None if variable.key is None or variable.is_pattern else _encoded(variable.key).lower(),
                _key_pattern(variable.key) if variable.key is not None and variable.is_pattern else None,
                variable.counted,
                _any(tests) if tests else None,
                "" if variable.counted else PART_OF.get(variable.name, ""),
            )
        )
    return tuple(found)


def key_test(variable: Variable) -> Callable[[bytes], bool]:
    """Whether a key is meant by *variable*."""
    if variable.key is None:
        return lambda _: True
    if variable.is_pattern:
        return _key_pattern(variable.key)
    wanted = _encoded(variable.key).lower()
    return lambda key: key.lower() == wanted


def _key_pattern(text: str) -> Callable[[bytes], bool]:
    """A test of keys by the regular expression *text*; the literals that it needs are looked for first."""
    search = compile_pattern(f"(?i){text}").search
    sets = needed(translate(text))
    if not sets or len(sets[0]) > 1:
        return lambda key: search(key) is not None
    (literal,) = sets[0]
    return lambda key: literal in key.lower() and search(key) is not None


def _any(tests: list[Callable[[bytes], bool]]) -> Callable[[bytes], bool]:
    if len(tests) == 1:
        return tests[0]
    return lambda key: any(test(key) for test in tests)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _control(control: Control, program: Program) -> Callable[[Transaction, Machine], None]:
    """A ``ctl`` as a function; which rules it concerns is worked out here, once."""
    name, argument = control.name, control.argument
    if name.startswith("ruleremove"):
        by = re.sub("ruleremove(?:target)?by", "", name)
        choose = {"id": _by_ids, "tag": updates.by_tag, "msg": updates.by_message}[by](argument)
        ids = frozenset(rule.id for rule in program.rules if choose(rule))
        if not control.target:
            return lambda transaction, _: transaction.removed.update(ids)
        exclusions = [(ids, one.name, key_test(one)) for one in read_updates(control.target)]
        return lambda transaction, _: transaction.exclusions.extend(exclusions)
    return _SIMPLE[name](argument)


def _by_ids(argument: str) -> Callable[[Rule], bool]:
    return updates.by_ids([argument])


def _processor(argument: str) -> Callable[[Transaction, Machine], None]:
    name = argument.upper().encode()
    return lambda transaction, _: transaction.scalar("REQBODY_PROCESSOR", name)


def _forced(argument: str) -> Callable[[Transaction, Machine], None]:
    on = argument.lower() == "on"
    return lambda transaction, _: setattr(transaction, "body_forced", on)


def _request_body(argument: str) -> Callable[[Transaction, Machine], None]:
    on = argument.lower() == "on"
    return lambda transaction, _: setattr(transaction, "request_body", on)


def _response_body(argument: str) -> Callable[[Transaction, Machine], None]:
    on = argument.lower() == "on"
    return lambda _, machine: setattr(machine, "response_body", on)


def _engine(argument: str) -> Callable[[Transaction, Machine], None]:
    chosen = {"on": "On", "off": "Off", "detectiononly": "DetectionOnly"}.get(argument.lower(), "On")
    return lambda _, machine: setattr(machine, "engine", chosen)


_SIMPLE: Final = {
    "forcerequestbodyvariable": _forced,
    "requestbodyaccess": _request_body,
    "requestbodyprocessor": _processor,
    "responsebodyaccess": _response_body,
    "ruleengine": _engine,
}
