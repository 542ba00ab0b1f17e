"""The compiled plan: what every operation of a document takes, as frozen data with its validators."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bsguard.contract.pointers import resolve

if TYPE_CHECKING:
    from bsguard.contract.explain import IsValid
    from bsguard.contract.load import Document
    from bsguard.contract.routing import Mount
    from bsguard.contract.validators import Schemas, Validator
    from bsguard.contract.values import Parameter, Shape

#: How a body is read: as JSON, as a form, as text, or not at all.
BodyKind = Literal["json", "form", "multipart", "text", "opaque"]


@dataclass(frozen=True, slots=True)
class Credential:
    """One credential that a request may carry. Presence is checked here, whether it is good by the application."""

    place: Literal["authorization", "header", "query", "cookie", "certificate"]
    #: Scheme of the Authorization header in lower case, environ key, or name of parameter or cookie.
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """What one media type of a request body must be."""

    #: Such as ``application/json``, ``image/*`` or ``*/*``.
    media_range: str
    kind: BodyKind
    #: None when nothing judges the content.
    validator: Validator | None = None
    #: The fields of a form, by name.
    fields: dict[str, Parameter] = field(default_factory=dict)
    #: The shape of a form.
    shape: Shape | None = None
    #: Whether it stands for the JSON types within its range only.
    json_only: bool = False

    def covers(self, essence: str) -> bool:
        """Whether its media range covers a media type."""
        family, _, kind = self.media_range.partition("/")
        return self.media_range == essence or (kind == "*" and family in ("*", essence.partition("/")[0]))


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """All parameters of an operation, arranged for reading."""

    #: In the order of the path template.
    path: tuple[Parameter, ...] = ()
    query: dict[str, Parameter] = field(default_factory=dict)
    #: Objects whose properties stand as query parameters of their own, and those written ``name[key]``.
    spread: tuple[Parameter, ...] = ()
    deep: dict[str, Parameter] = field(default_factory=dict)
    #: By environ key.
    header: dict[str, Parameter] = field(default_factory=dict)
    cookie: dict[str, Parameter] = field(default_factory=dict)
    #: Query parameters that carry credentials.
    credentials: frozenset[str] = frozenset()
    #: Judges the values of all of them at once, as an object by ``place name``; None when there is nothing to judge.
    is_valid: IsValid | None = None
    required_query: frozenset[str] = frozenset()
    #: Whether anything is declared beside the path.
    sent: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation of a document."""

    #: ``operationId``, or method and template where there is none.
    id: str
    method: str
    template: str
    #: JSON pointer of the operation in the document.
    pointer: str
    parameters: Parameters = field(default_factory=Parameters)
    #: None when no body is declared; the media types from the most to the least specific.
    bodies: tuple[Body, ...] | None = None
    body_required: bool = False
    #: Alternatives, each a set of credentials that belong together; none means that no credential is needed.
    security: tuple[tuple[Credential, ...], ...] = ()
    #: What of the contract is not enforced, and why.
    notes: tuple[str, ...] = ()
    #: Why its values are judged by the reference engine; empty when they are judged by the plan.
    reference: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """What settings may call it."""
        return tuple(dict.fromkeys((self.id, f"{self.method} {self.template}")))


@dataclass(slots=True, eq=False)
class PathEntry:
    """All operations of one path template."""

    template: str
    operations: dict[str, Operation] = field(default_factory=dict)

    def operation(self, method: str) -> Operation | None:
        """The operation of a method. HEAD is GET without the body of the answer (RFC 9110 §9.3.2)."""
        found = self.operations.get(method)
        return self.operations.get("GET") if found is None and method == "HEAD" else found

    def allowed(self, *, options: bool) -> str:
        """The value of ``Allow``."""
        methods = set(self.operations) | ({"HEAD"} if "GET" in self.operations else set())
        return ", ".join(sorted(methods | ({"OPTIONS"} if options else set())))


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A document, ready to judge requests."""

    document: Document
    #: Host and path prefix of each server, with what is served there.
    mounts: tuple[Mount[PathEntry], ...]
    operations: tuple[Operation, ...]
    schemas: Schemas
    #: Pointers of the schemas that became definitions, by the definition's name.
    pointers: dict[str, str]
    #: Names of properties that the document declares.
    declared: frozenset[str]
    #: The path prefix that all its paths have in common.
    scope: str
    title: str = ""
    #: Formats that nothing validates.
    formats: dict[str, str] = field(default_factory=dict)

    def schema(self, pointer: str) -> Any:
        """The node of the document at *pointer*."""
        return resolve(self.document.data, pointer)

    def schema_of(self, definition: str) -> Any:
        """The schema that a definition was made from; None for no definition."""
        return resolve(self.document.data, self.pointers[definition]) if definition else None
