"""Compiles a checked document into the plan that judges requests.

What cannot be compiled exactly is never left out in silence: the operation then names the reason and is judged by the
reference engine, and what no engine can judge is a note that is said at start. What is wrong is a problem.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from bsguard.contract.load import Document, DocumentError, DocumentProblem
from bsguard.contract.operations import Body, Compiled, Credential, Operation, Parameters, PathEntry
from bsguard.contract.parameters import FORM, STYLES, Declared, NotExact, NotKnown, field_of
from bsguard.contract.pointers import escape, follow
from bsguard.contract.routing import Mount, Router
from bsguard.contract.schemas import Translator, endless
from bsguard.contract.servers import prefix_of, servers_of
from bsguard.contract.shapes import Shapes
from bsguard.contract.validators import Schemas, SchemaUnusable
from bsguard.core.grammar import environ_key
from bsguard.core.media import parse_media_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bsguard.contract.values import Parameter

METHODS: Final[tuple[str, ...]] = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")

_DIALECTS: Final = ("https://json-schema.org/draft/2020-12/schema", "https://spec.openapis.org/oas/3.")


#: Host and path prefix of each server.
Servers = tuple[tuple[str, str], ...]


def compile_document(
    document: Document,
    *,
    servers: Servers = (),
    reference: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Compiled:
    """Compile *document*; raises :class:`~bsguard.contract.load.DocumentError` with all problems.

    *servers*, if there are any, take the place of the document's own. With *reference* all values are left to the
    reference engine. *progress* is called with the number of
    operations done and of all.
    """
    return _Compiler(document, servers, reference).compile(progress or (lambda _done, _all: None))


@dataclass(slots=True)
class _Draft:
    """An operation whose schemas are known by name, before there are validators."""

    id: str
    method: str
    template: str
    pointer: str
    servers: Servers = ()
    parameters: list[Parameter] = field(default_factory=list)
    bodies: list[tuple[Body, str]] | None = None
    body_required: bool = False
    security: tuple[tuple[Credential, ...], ...] = ()
    notes: list[str] = field(default_factory=list)
    reference: str = ""


class _Compiler:
    def __init__(self, document: Document, servers: Servers, reference: bool) -> None:
        self.reference = "as the settings want it" if reference else ""
        self.document = document
        self.servers = servers
        self.data = document.data
        self.problems: list[DocumentProblem] = []
        self.translator = Translator(document)
        self.shapes = Shapes(document)
        self.declared = Declared(self.shapes, self.translator.define)
        self._servers_at: dict[str, Servers] = {}

    def compile(self, progress: Callable[[int, int], object]) -> Compiled:
        drafts = [draft for template, pointer, item in self._paths() for draft in self._drafts(template, pointer, item)]
        names = {name: pointer for pointer, name in self.translator.names.items()}
        for name in endless(self.translator.definitions):
            message = "applies itself to the same value again and again"
            self._problem(names[name], message, "let it refer to itself within properties or items only")
        if self.problems:
            raise DocumentError(self.problems)
        schemas = Schemas(self.translator.definitions, unsupported=self.translator.unsupported)
        entries: dict[tuple[Servers, str], PathEntry] = {}
        operations = []
        for done, draft in enumerate(drafts):
            progress(done, len(drafts))
            operation = self._operation(draft, schemas)
            operations.append(operation)
            entry = entries.setdefault((draft.servers, draft.template), PathEntry(draft.template))
            entry.operations[draft.method] = operation
        mounts = self._mounts(entries)
        self._unknown_credentials(drafts)
        if self.problems:
            raise DocumentError(self.problems)
        progress(len(drafts), len(drafts))
        return Compiled(
            document=self.document,
            mounts=mounts,
            operations=tuple(operations),
            schemas=schemas,
            pointers=names,
            declared=frozenset(self.translator.properties),
            scope=prefix_of(template for _, template in entries),
            title=str(_mapping(self.data.get("info")).get("title", "")),
            formats=self.translator.formats,
        )

    def _mounts(self, entries: dict[tuple[Servers, str], PathEntry]) -> tuple[Mount[PathEntry], ...]:
        """Every server with a router of its operations; operations with the same servers share one."""
        routers: dict[Servers, Router[PathEntry]] = {}
        for (servers, template), entry in entries.items():
            known = routers.setdefault(servers, Router()).add(template, entry)
            if known is not entry:
                message = f"stands for the same requests as {known.template}"
                self._problem(f"/paths/{escape(template)}", message, "keep one of them")
        return tuple(Mount(host, prefix, router) for servers, router in routers.items() for host, prefix in servers)

    def _problem(self, pointer: str, message: str, remedy: str = "") -> None:
        self.problems.append(self.document.problem(pointer, message, remedy))

    def _paths(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for template, item in _mapping(self.data.get("paths")).items():
            pointer = f"/paths/{escape(template)}"
            if template.startswith("x-"):
                continue
            if not template.startswith("/"):
                self._problem(pointer, "is no path", 'begin it with "/"')
                continue
            found, pointer = follow(self.data, item, pointer)
            yield template, pointer, _mapping(found)

    def _drafts(self, template: str, pointer: str, item: dict[str, Any]) -> Iterator[_Draft]:
        operations = {method: (item[method], f"{pointer}/{method}") for method in METHODS if method in item}
        extra = _mapping(item.get("additionalOperations"))  # OpenAPI 3.2
        operations |= {name: (one, f"{pointer}/additionalOperations/{escape(name)}") for name, one in extra.items()}
        for method, (operation, at) in operations.items():
            node = _mapping(operation)
            name = node.get("operationId")
            method = method.upper() if method in METHODS else method  # noqa: PLW2901
            draft = _Draft(str(name or f"{method} {template}"), method, template, at, reference=self.reference)
            draft.servers = self._servers((node, at), (item, pointer), (self.data, ""))
            if "#" in template or "?" in template:
                draft.notes.append("no request has a path with # or ?, so this operation is never reached")
            self._add_parameters(draft, item, pointer, node)
            self._add_bodies(draft, node)
            draft.security = self._security(draft, node)
            yield draft

    def _servers(self, *places: tuple[dict[str, Any], str]) -> Servers:
        """The servers of an operation: its own, its path's or the document's."""
        if self.servers:
            return self.servers
        node, pointer = next((place for place in places if "servers" in place[0]), places[-1])
        if pointer not in self._servers_at:
            self._servers_at[pointer] = tuple(servers_of(self.document, node.get("servers"), pointer, self.problems))
        return self._servers_at[pointer]

    def _add_parameters(self, draft: _Draft, item: dict[str, Any], above: str, operation: dict[str, Any]) -> None:
        found: dict[tuple[str, str], Parameter] = {}
        for node, pointer in ((item, above), (operation, draft.pointer)):
            for index, one in enumerate(node.get("parameters") or ()):
                target, at = follow(self.data, one, f"{pointer}/parameters/{index}")
                try:
                    parameter = self.declared.parameter(_mapping(target), at)
                except NotExact as reason:
                    draft.reference = draft.reference or f"{reason} ({self._where(at)})"
                    continue
                except NotKnown as reason:
                    self._problem(at, str(reason), "describe it in another way, or leave the operation out")
                    continue
                if parameter is not None:
                    found[parameter.place, parameter.name] = parameter
        wanted = [name.split("}")[0] for name in draft.template.split("{")[1:]]
        for name in wanted:
            if ("path", name) not in found and not draft.reference:
                self._problem(draft.pointer, f"does not declare the path parameter {name}", "add it to its parameters")
        draft.parameters = list(found.values())

    def _add_bodies(self, draft: _Draft, operation: dict[str, Any]) -> None:
        if "requestBody" not in operation:
            return
        node, pointer = follow(self.data, operation["requestBody"], f"{draft.pointer}/requestBody")
        node = _mapping(node)
        draft.body_required = node.get("required") is True
        draft.bodies = []
        for media, content in _mapping(node.get("content")).items():
            parsed = parse_media_type(media)
            if parsed is None and "*" not in media:
                self._problem(f"{pointer}/content/{escape(media)}", "is no media type", "write it as type/subtype")
                continue
            draft.bodies += self._bodies(draft, media, _mapping(content), f"{pointer}/content/{escape(media)}")
        # The most specific first: a type, then its family, then any.
        draft.bodies.sort(key=lambda pair: (pair[0].media_range == "*/*", pair[0].media_range.endswith("/*")))

    def _bodies(self, draft: _Draft, media: str, content: dict[str, Any], pointer: str) -> list[tuple[Body, str]]:
        parsed = parse_media_type(media)
        essence = parsed.essence if parsed else media.lower()
        schema = content.get("schema")
        at = f"{pointer}/schema"
        if "itemSchema" in content:
            draft.notes.append(f"the items of {essence} are not judged")
        if parsed is not None and parsed.json:
            return [(Body(essence, "json"), self.translator.define(at) if schema is not None else "")]
        if schema is None:
            return [(Body(essence, "opaque"), "")]
        if essence in (FORM, "multipart/form-data"):
            shape = self.shapes.of(schema, at)
            encoding = _mapping(content.get("encoding"))
            fields = {name: field_of(name, one, _mapping(encoding.get(name))) for name, one in shape.properties.items()}
            kind: Any = "form" if essence.startswith("application") else "multipart"
            return [(Body(essence, kind, None, fields, shape), self.translator.define(at))]
        if essence == "text/plain":
            return [(Body(essence, "text"), self.translator.define(at))]
        if self.shapes.is_binary(schema, at):
            return [(Body(essence, "opaque"), "")]
        if essence in ("*/*", "application/*"):
            draft.notes.append(f"bodies of {essence} that are no JSON are not judged by their schema")
            return [(Body(essence, "json", json_only=True), self.translator.define(at)), (Body(essence, "opaque"), "")]
        draft.notes.append(f"bodies of {essence} are not judged by their schema")
        return [(Body(essence, "opaque"), "")]

    def _where(self, pointer: str) -> str:
        return "#".join(self.document.where(pointer))

    def _security(self, draft: _Draft, operation: dict[str, Any]) -> tuple[tuple[Credential, ...], ...]:
        told = operation.get("security", self.data.get("security"))
        alternatives = []
        for alternative in told if isinstance(told, list) else ():
            found = [self._credential(draft, name) for name in _mapping(alternative)]
            alternatives.append(tuple(one for one in found if one is not None))
        return () if () in alternatives else tuple(alternatives)

    def _credential(self, draft: _Draft, name: str) -> Credential | None:
        schemes = _mapping(_mapping(self.data.get("components")).get("securitySchemes"))
        scheme, _ = follow(self.data, schemes.get(name), "")
        scheme = _mapping(scheme)
        kind, place = scheme.get("type"), str(scheme.get("in", ""))
        if kind == "http":
            return Credential("authorization", str(scheme.get("scheme", "")).lower())
        if kind in ("oauth2", "openIdConnect"):
            return Credential("authorization", "bearer")
        if kind == "apiKey" and place in ("query", "cookie"):
            return Credential("query" if place == "query" else "cookie", str(scheme.get("name", "")))
        if kind == "apiKey" and place == "header":
            return Credential("header", environ_key(str(scheme.get("name", ""))))
        if kind == "mutualTLS":
            draft.notes.append(f"whether a client certificate was shown ({name}) is the server's to check")
            return None
        return Credential("header", "")  # nothing satisfies it; said as a problem

    def _unknown_credentials(self, drafts: list[_Draft]) -> None:
        for draft in drafts:
            if any(one == Credential("header", "") for alternative in draft.security for one in alternative):
                remedy = "declare it in components/securitySchemes"
                self._problem(draft.pointer, "needs a security scheme that is not declared", remedy)

    def _operation(self, draft: _Draft, schemas: Schemas) -> Operation:
        parameters, bodies = Parameters(), None
        dialect = str(self.data.get("jsonSchemaDialect", _DIALECTS[0]))
        if not dialect.startswith(_DIALECTS):
            draft.reference = draft.reference or "schemas in another dialect than JSON Schema 2020-12"
        try:
            if not draft.reference:
                parameters = _arranged(draft, schemas)
        except SchemaUnusable as reason:
            draft.reference = f"a parameter's schema ({reason})"
        if draft.reference:
            parameters = _arranged(draft, None)
        if draft.bodies is not None:
            made = []
            for body, name in draft.bodies:
                try:
                    validator = schemas.of(name) if name and not draft.reference else None
                except SchemaUnusable as reason:
                    draft.reference, validator = f"the schema of {body.media_range} ({reason})", None
                made.append(replace(body, validator=validator))
            bodies = tuple(made)
        return Operation(
            id=draft.id,
            method=draft.method,
            template=draft.template,
            pointer=draft.pointer,
            parameters=parameters,
            bodies=bodies,
            body_required=draft.body_required,
            security=draft.security,
            notes=tuple(draft.notes),
            reference=draft.reference,
        )


def _arranged(draft: _Draft, schemas: Schemas | None) -> Parameters:
    """The parameters by place; without *schemas* only their names count, for the reference engine judges values."""
    by_place: dict[str, list[Parameter]] = {place: [] for place in STYLES}
    for one in draft.parameters:
        by_place[one.place].append(one)
    order = {name.split("}")[0]: index for index, name in enumerate(draft.template.split("{")[1:])}
    path = sorted((one for one in by_place["path"] if one.name in order), key=lambda one: order[one.name])
    query = {one.name: one for one in by_place["query"]}
    spread = tuple(one for one in query.values() if one.spread)
    deep = {one.name: one for one in query.values() if one.style == "deepObject"}
    plain = {name: one for name, one in query.items() if not one.spread and name not in deep}
    judged = {f"{one.place} {one.name}": one.definition for one in draft.parameters if one.definition}
    return Parameters(
        path=tuple(path),
        query=plain,
        spread=spread,
        deep=deep,
        header={environ_key(one.name): one for one in by_place["header"]},
        cookie={one.name: one for one in by_place["cookie"]},
        credentials=frozenset(
            one.name for alternative in draft.security for one in alternative if one.place == "query"
        ),
        is_valid=schemas.combined(judged) if judged and schemas is not None else None,
        sent=any(one.place != "path" for one in draft.parameters),
        required_query=frozenset(one.name for one in plain.values() if one.required),
    )


def _mapping(node: Any) -> dict[str, Any]:
    return node if isinstance(node, dict) else {}
