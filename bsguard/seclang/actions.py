"""The actions of a rule: how the list is split, what each action means, one table.

An action changes a :class:`Draft`, the rule while it is being read; a chained rule shares its head's draft and opens
a new link in it.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bsguard.core.config import nearest
from bsguard.seclang.errors import Mistake
from bsguard.seclang.model import Control, Link, Rule, SetVariable
from bsguard.seclang.transforms import TRANSFORMS
from bsguard.seclang.variables import WRITABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bsguard.seclang.errors import Position
    from bsguard.seclang.model import Operator, Variable

_PHASES: Final = {"request": 2, "response": 4, "logging": 5}
_PHASE_LAST: Final = 5
_SEVERITIES: Final = ("EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG")
#: ``ctl`` names that change what the engine does.
CONTROLS: Final = frozenset(
    {
        "forcerequestbodyvariable",
        "requestbodyaccess",
        "requestbodyprocessor",
        "responsebodyaccess",
        "ruleengine",
        "ruleremovebyid",
        "ruleremovebymsg",
        "ruleremovebytag",
        "ruleremovetargetbyid",
        "ruleremovetargetbymsg",
        "ruleremovetargetbytag",
    }
)
#: ``ctl`` names about log files that this engine does not write.
CONTROLS_WITHOUT_EFFECT: Final = frozenset({"auditengine", "auditlogparts", "debugloglevel"})


@dataclass(slots=True)
class LinkDraft:
    """One link while it is being read."""

    position: Position
    variables: tuple[Variable, ...] = ()
    operator: Operator | None = None
    transformations: list[str] = field(default_factory=list)
    set_variables: list[SetVariable] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    capture: bool = False
    multi_match: bool = False

    def finished(self) -> Link:
        """The link as data."""
        return Link(
            self.position,
            self.variables,
            self.operator,
            tuple(self.transformations),
            tuple(self.set_variables),
            tuple(self.controls),
            self.capture,
            self.multi_match,
        )


@dataclass(slots=True)
class Draft:
    """A rule while it is being read. The last of ``links`` is the one that actions of a link go to."""

    position: Position
    links: list[LinkDraft] = field(default_factory=list)
    #: Names of the actions that the first link gave.
    given: set[str] = field(default_factory=set)
    id: int | None = None
    phase: int = 2
    disruptive: str = "pass"
    disruptive_argument: str = ""
    status: int = 403
    log: bool = True
    message: str = ""
    data: str = ""
    severity: int | None = None
    tags: list[str] = field(default_factory=list)
    version: str = ""
    skip: int = 0
    skip_after: str = ""
    #: Whether the next SecRule belongs to this one.
    goes_on: bool = False

    def finished(self) -> Rule:
        """The rule as data; it has an id."""
        return Rule(
            position=self.position,
            id=self.id or 0,
            phase=self.phase,
            links=tuple(link.finished() for link in self.links),
            disruptive=self.disruptive,
            disruptive_argument=self.disruptive_argument,
            status=self.status,
            log=self.log,
            message=self.message,
            data=self.data,
            severity=self.severity,
            tags=tuple(self.tags),
            version=self.version,
            skip=self.skip,
            skip_after=self.skip_after,
        )


@dataclass(frozen=True, slots=True)
class Action:
    """One action as written, and where its name stands in the list."""

    name: str
    value: str
    offset: int


_NAME: Final = re.compile(r"\s*([A-Za-z]+)\s*")


def split_actions(text: str) -> Iterator[Action]:
    """The actions of a list. Raises :class:`Mistake` with the offset of what cannot be read."""
    at = 0
    while text[at:].strip():
        match = _NAME.match(text, at)
        if match is None:
            raise Mistake("the name of an action is expected here", at)
        value, end = "", match.end()
        if text[end : end + 1] == ":":
            value, end = _value(text, end + 1)
        yield Action(match[1].lower(), value, match.start(1))
        rest = re.compile(r"\s*").match(text, end)
        at = rest.end() if rest else end
        if at < len(text) and text[at] != ",":
            raise Mistake("a comma is expected between actions", at)
        at += 1


def _value(text: str, at: int) -> tuple[str, int]:
    """The value that begins at *at*, and where it ends; in quotes, a backslash protects a quote."""
    if text[at : at + 1] != "'":
        end = text.find(",", at)
        end = len(text) if end < 0 else end
        return text[at:end].strip(), end
    characters: list[str] = []
    index = at + 1
    while index < len(text):
        if text[index] == "\\" and text[index + 1 : index + 2] == "'":
            characters.append("'")
            index += 2
        elif text[index] == "'":
            return "".join(characters), index + 1
        else:
            characters.append(text[index])
            index += 1
    raise Mistake("the quote ' opened here is never closed", at)


def read_action(draft: Draft, action: Action, *, chained: bool = False) -> None:
    """Apply one action to the rule being read. Raises :class:`Mistake`."""
    apply = ACTIONS.get(action.name)
    if apply is None:
        close = nearest(action.name, ACTIONS)
        hint = f"; did you mean {close}?" if close else ""
        raise Mistake(_REFUSED.get(action.name, f"there is no action {action.name}{hint}"), action.offset)
    if chained and action.name in _HEAD_ONLY:
        raise Mistake(f"{action.name} belongs to the first rule of the chain", action.offset)
    try:
        apply(draft, action.value)
    except Mistake as mistake:
        raise Mistake(f"{action.name}: {mistake}", action.offset) from None


def _number(value: str, lowest: int, highest: int) -> int:
    if not (value.isascii() and value.isdigit() and lowest <= int(value) <= highest):
        raise Mistake(f"a number from {lowest} to {highest} is expected")
    return int(value)


def _id(draft: Draft, value: str) -> None:
    draft.id = _number(value, 1, 2**31 - 1)


def _phase(draft: Draft, value: str) -> None:
    draft.phase = _PHASES.get(value.lower()) or _number(value, 1, _PHASE_LAST)


def _severity(draft: Draft, value: str) -> None:
    if value.upper() in _SEVERITIES:
        draft.severity = _SEVERITIES.index(value.upper())
    else:
        draft.severity = _number(value, 0, len(_SEVERITIES) - 1)


def _disruptive(name: str) -> Callable[[Draft, str], None]:
    def apply(draft: Draft, value: str) -> None:
        if name == "allow" and value.lower() not in ("", "phase", "request"):
            raise Mistake("nothing, phase or request is expected")
        if name == "redirect":
            if not value:
                raise Mistake("an address is expected")
            draft.status = draft.status if "status" in draft.given else 302
        draft.disruptive, draft.disruptive_argument = name, value

    return apply


def _text(name: str) -> Callable[[Draft, str], None]:
    return lambda draft, value: setattr(draft, name, value)


def _status(draft: Draft, value: str) -> None:
    draft.status = _number(value, 100, 599)


def _logging(*, on: bool) -> Callable[[Draft, str], None]:
    return lambda draft, _: setattr(draft, "log", on)


def _tag(draft: Draft, value: str) -> None:
    draft.tags.append(value)


def _skip(draft: Draft, value: str) -> None:
    draft.skip = _number(value, 1, 10_000)


def _chain(draft: Draft, _: str) -> None:
    draft.goes_on = True


def _transformation(draft: Draft, value: str) -> None:
    name = value.lower()
    chain = draft.links[-1].transformations
    if name == "none":
        chain.clear()
        return
    if name not in TRANSFORMS:
        close = nearest(name, TRANSFORMS)
        raise Mistake(f"there is no transformation {value}" + (f"; did you mean {close}?" if close else ""))
    chain.append(name)


_SET: Final = re.compile(r"(!?)\s*(\w+)\s*[.:]\s*([^=]+?)\s*(?:(=[+-]?)(.*))?", re.DOTALL)


def _set_variable(draft: Draft, value: str) -> None:
    match = _SET.fullmatch(value.strip())
    if match is None:
        raise Mistake("collection.key=value is expected, such as tx.score=+5")
    negation, collection, key, sign, text = match.groups()
    if collection.upper() not in WRITABLE:
        raise Mistake(f"{collection} cannot be written to; use tx")
    if negation:
        change = SetVariable(collection.upper(), key, "!", "")
    elif sign is None:
        change = SetVariable(collection.upper(), key, "=", "1")
    else:
        change = SetVariable(collection.upper(), key, sign[1:] or "=", text)
    draft.links[-1].set_variables.append(change)


def _control(draft: Draft, value: str) -> None:
    name, _, rest = value.partition("=")
    name, rest = name.strip().lower(), rest.strip()
    if name in CONTROLS_WITHOUT_EFFECT:
        return
    if name not in CONTROLS:
        close = nearest(name, CONTROLS)
        raise Mistake(f"there is no control {name}" + (f"; did you mean {close}?" if close else ""))
    argument, _, target = rest.partition(";")
    if not argument:
        raise Mistake(f"{name}=… is expected")
    if name.startswith("ruleremovetarget") and not target:
        raise Mistake(f"{name}=which;TARGET is expected")
    draft.links[-1].controls.append(Control(name, argument, target))


def _flag(name: str) -> Callable[[Draft, str], None]:
    return lambda draft, _: setattr(draft.links[-1], name, True)


def _nothing(draft: Draft, value: str) -> None:
    """Read and without effect: it is about log files, or data that nobody reads."""


#: Every action. Those mapped to ``_nothing`` concern log files, or collections kept between requests.
ACTIONS: Final[Mapping[str, Callable[[Draft, str], None]]] = {
    "accuracy": _nothing,
    "allow": _disruptive("allow"),
    "auditlog": _nothing,
    "block": _disruptive("block"),
    "capture": _flag("capture"),
    "chain": _chain,
    "ctl": _control,
    "deny": _disruptive("deny"),
    "drop": _disruptive("drop"),
    "expirevar": _nothing,
    "id": _id,
    "initcol": _nothing,
    "log": _logging(on=True),
    "logdata": _text("data"),
    "maturity": _nothing,
    "msg": _text("message"),
    "multimatch": _flag("multi_match"),
    "noauditlog": _nothing,
    "nolog": _logging(on=False),
    "pass": _disruptive("pass"),
    "phase": _phase,
    "redirect": _disruptive("redirect"),
    "rev": _nothing,
    "sanitisearg": _nothing,
    "sanitisematched": _nothing,
    "sanitisematchedbytes": _nothing,
    "sanitiserequestheader": _nothing,
    "sanitiseresponseheader": _nothing,
    "setvar": _set_variable,
    "severity": _severity,
    "skip": _skip,
    "skipafter": _text("skip_after"),
    "status": _status,
    "t": _transformation,
    "tag": _tag,
    "ver": _text("version"),
}
_HEAD_ONLY: Final = frozenset(
    {"allow", "block", "deny", "drop", "id", "pass", "phase", "redirect", "skip", "skipafter", "status"}
)
_REFUSED: Final = {
    "exec": "exec runs a program for a request, which this engine never does; act on the events instead",
    "pause": "pause holds a worker for a client's sake; deny or limit instead",
    "proxy": "proxy needs a proxy server; deny instead",
}


def draft_of(rule: Rule) -> Draft:
    """The rule opened again, for SecRuleUpdateActionById."""
    same = {one.name: getattr(rule, one.name) for one in dataclasses.fields(Rule) if one.name not in ("links", "tags")}
    links = [
        LinkDraft(
            link.position,
            link.variables,
            link.operator,
            list(link.transformations),
            list(link.set_variables),
            list(link.controls),
            link.capture,
            link.multi_match,
        )
        for link in rule.links
    ]
    return Draft(**same, links=links, tags=list(rule.tags))
