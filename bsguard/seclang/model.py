"""Rules as data: what the parser makes and the compiler reads. Nothing here runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bsguard.seclang.errors import Position


@dataclass(frozen=True, slots=True)
class Variable:
    """One part of a rule's target list, such as ``&ARGS:a`` or ``!REQUEST_COOKIES:/^_ga/``."""

    #: Upper-case name of the collection.
    name: str
    #: What the key must equal, case aside, or the text of a regular expression; None means every key.
    key: str | None = None
    is_pattern: bool = False
    counted: bool = False
    excluded: bool = False

    def __str__(self) -> str:
        mark = "!" if self.excluded else "&" if self.counted else ""
        key = "" if self.key is None else f":/{self.key}/" if self.is_pattern else f":{self.key}"
        return f"{mark}{self.name}{key}"


@dataclass(frozen=True, slots=True)
class Operator:
    """``@name argument``, possibly negated. The argument is text as written, macros not expanded."""

    #: Lower-case name without the ``@``.
    name: str
    argument: str = ""
    negated: bool = False
    #: Folder that a relative file name in the argument starts from.
    folder: str = ""

    def __str__(self) -> str:
        return f"{'!' if self.negated else ''}@{self.name} {self.argument}".rstrip()


@dataclass(frozen=True, slots=True)
class SetVariable:
    """``setvar``: *sign* is "=" to assign, "+" or "-" to count, "!" to remove."""

    #: Upper-case name of the collection.
    collection: str
    #: The key, which may contain macros.
    key: str
    sign: str
    #: The value, which may contain macros.
    value: str


@dataclass(frozen=True, slots=True)
class Control:
    """``ctl``: *name* in lower case; *argument* and *target* are what stood after ``=``, split at the first ``;``."""

    name: str
    argument: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """One SecRule of a chain; a rule without ``chain`` is a chain of one. A SecAction's link has no operator."""

    position: Position
    variables: tuple[Variable, ...] = ()
    operator: Operator | None = None
    transformations: tuple[str, ...] = ()
    set_variables: tuple[SetVariable, ...] = ()
    controls: tuple[Control, ...] = ()
    capture: bool = False
    multi_match: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A whole rule: its chain and what happens once every link has matched."""

    position: Position
    id: int
    phase: int
    links: tuple[Link, ...]
    #: "pass", "deny", "drop", "redirect" or "allow"; ``block`` is already resolved by the default action.
    disruptive: str = "pass"
    #: What stood after the disruptive action: the address of a redirect, the reach of an allow.
    disruptive_argument: str = ""
    status: int = 403
    #: Whether a match is reported.
    log: bool = True
    message: str = ""
    data: str = ""
    severity: int | None = None
    tags: tuple[str, ...] = ()
    version: str = ""
    #: Number of following rules to skip after a match.
    skip: int = 0
    #: Marker to skip to after a match.
    skip_after: str = ""


@dataclass(frozen=True, slots=True)
class Marker:
    """``SecMarker``: where ``skipAfter`` lands."""

    position: Position
    name: str


@dataclass(frozen=True, slots=True)
class Options:
    """What directives other than rules have set."""

    #: "On", "Off" or "DetectionOnly".
    engine: str = "On"
    request_body: bool = True
    response_body: bool = False
    #: Media types whose response bodies are looked at.
    response_types: tuple[str, ...] = ("text/plain", "text/html", "text/xml", "application/json")
    component: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """Everything that a set of rule files says, in order, updates and removals applied."""

    items: tuple[Rule | Marker, ...] = ()
    options: Options = field(default_factory=Options)
    #: What was read and has no effect here, one sentence each, for the operator to know.
    notices: tuple[str, ...] = ()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules alone."""
        return tuple(item for item in self.items if isinstance(item, Rule))
