"""Judges one request against one operation. Decides only; nothing here has effects but reading the body."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from bsguard.contract.forms import UTF8, Malformed, TooMany, cookies, multipart, split_pairs
from bsguard.contract.values import NotText, as_is, decode, properties, unescape
from bsguard.contract.violations import Violation, segments_of, violations_of
from bsguard.core.strict_json import JsonProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bsguard.contract.config import ContractConfig
    from bsguard.contract.operations import Body, Compiled, Credential, Operation, Parameters
    from bsguard.contract.validators import Validator
    from bsguard.contract.values import Parameter
    from bsguard.core.request import Request

_UNCODED: Final = frozenset({"", "identity"})


class Judge:
    """Judges requests against the operations of one document."""

    def __init__(self, compiled: Compiled, config: ContractConfig) -> None:
        self._compiled = compiled
        self._segments = segments_of(compiled.declared)
        self._config = config
        self._fields_max = config.fields_count_max
        self._ignored = config.parameters_ignored

    def head(self, operation: Operation, request: Request, taken: tuple[str, ...]) -> tuple[list[Violation], list[str]]:
        """What is wrong before the body, and the names of parameters that are not declared."""
        found: list[Violation] = []
        undeclared: list[str] = []
        if operation.security and not _has_credentials(operation, request):
            found.append(Violation("contract.security", "request", keyword="security"))
        parameters = operation.parameters
        expected = taken or parameters.sent or request.header("QUERY_STRING")
        values = self.values(parameters, request, taken, found, undeclared) if expected else []
        is_valid = parameters.is_valid
        if is_valid is not None and values and not is_valid({one.key: value for one, _, value in values}):
            found += self._invalid(values)
        found += self._body_head(operation, request)
        return found, undeclared

    def values(
        self,
        parameters: Parameters,
        request: Request,
        taken: tuple[str, ...],
        found: list[Violation],
        undeclared: list[str],
    ) -> list[tuple[Parameter, Sequence[str], Any]]:
        """The values of all parameters that were sent, each with its texts; what stops reading is *found*."""
        values: list[tuple[Parameter, Sequence[str], Any]] = []
        environ = request.environ
        if parameters.path:
            for one, text in zip(parameters.path, taken, strict=False):
                _read(one, (text,), decode, values, found)
        query = environ.get("QUERY_STRING", "")
        if query or parameters.required_query or parameters.spread or parameters.deep:
            self._query(parameters, query, values, found, undeclared)
        for key, one in parameters.header.items():
            if key in environ:
                _read(one, (environ[key],), as_is, values, found)
            elif one.required:
                found.append(Violation("contract.parameter.missing", "header", one.name, keyword="required"))
        if parameters.cookie:
            self._cookies(parameters.cookie, environ.get("HTTP_COOKIE", ""), values, found)
        return values

    def _query(
        self,
        parameters: Parameters,
        query: str,
        values: list[tuple[Parameter, Sequence[str], Any]],
        found: list[Violation],
        undeclared: list[str],
    ) -> None:
        try:
            texts = _by_name(query, self._fields_max)
        except TooMany:
            found.append(Violation("contract.fields", "query", keyword="count"))
            return
        except NotText:
            found.append(Violation("contract.parameter.invalid", "query", keyword="encoding"))
            return
        others: dict[str, list[str]] = {}
        for name, raws in texts.items():
            one = parameters.query.get(name)
            if one is None:
                others[name] = raws
            elif len(raws) > 1 and not one.repeatable:
                found.append(Violation("contract.parameter.duplicate", "query", name, keyword="duplicate"))
            elif not (one.empty and raws == [""]):
                _read(one, raws, unescape, values, found)
        for name in parameters.required_query:
            if name not in texts:
                found.append(Violation("contract.parameter.missing", "query", name, keyword="required"))
        if parameters.spread or parameters.deep:
            _objects(parameters, others, values, found)
        if others:
            self._others(parameters, others, found, undeclared)

    def _others(
        self, parameters: Parameters, others: dict[str, list[str]], found: list[Violation], undeclared: list[str]
    ) -> None:
        """Query parameters that are none of the operation's: credentials, ignored ones, and the undeclared."""
        for name, raws in others.items():
            if name not in parameters.credentials:
                if not self._ignored.matches(name):
                    undeclared.append(name)
            elif len(raws) > 1:
                found.append(Violation("contract.parameter.duplicate", "query", name, keyword="duplicate"))
        if undeclared:
            found.append(Violation("contract.parameter.undeclared", "query", keyword="undeclared"))

    @staticmethod
    def _cookies(
        wanted: dict[str, Parameter],
        header: str,
        values: list[tuple[Parameter, Sequence[str], Any]],
        found: list[Violation],
    ) -> None:
        try:
            texts = cookies(header)
        except NotText:
            found.append(Violation("contract.parameter.invalid", "cookie", keyword="encoding"))
            return
        for name, one in wanted.items():
            raws = texts.get(name)
            if raws is None:
                if one.required:
                    found.append(Violation("contract.parameter.missing", "cookie", name, keyword="required"))
            elif len(raws) > 1:
                found.append(Violation("contract.parameter.duplicate", "cookie", name, keyword="duplicate"))
            else:
                _read(one, raws, as_is, values, found)

    def _invalid(self, values: list[tuple[Parameter, Sequence[str], Any]]) -> list[Violation]:
        """Which parameters are wrong, each judged by itself and in every way that it may be read."""
        found: list[Violation] = []
        for one, raws, value in values:
            if not one.definition:
                continue
            validator = self._compiled.schemas.of(one.definition)
            if validator.is_valid(value) or (one.shape.ambiguous and raws and _any_reading(one, raws, validator)):
                continue
            errors = validator.errors(value)
            found += violations_of("contract.parameter.invalid", one.place, one.name, errors, self._segments)
        return found

    def _body_head(self, operation: Operation, request: Request) -> list[Violation]:
        body = request.body
        if operation.bodies is None:
            if body.present and not body.chunked:
                return [Violation("contract.body.undeclared", "body", keyword="undeclared")]
        elif not body.present:
            if operation.body_required:
                return [Violation("contract.body.missing", "body", keyword="required")]
        elif _is_coded(request):
            return [Violation("contract.media-type", "header", "Content-Encoding", keyword="coding")]
        elif body_of(operation, request) is None:
            return [Violation("contract.media-type", "header", "Content-Type", keyword="content")]
        return []

    def body(self, operation: Operation, request: Request) -> list[Violation]:
        """What is wrong with the body of a request whose head was right. May raise ``BodyError``."""
        body = request.body
        if not body.present:
            return []
        wanted = body_of(operation, request)
        settings = request.settings
        files = wanted is not None and wanted.kind in ("multipart", "opaque")
        limit = settings.body_bytes_max if files else settings.inspect_bytes_max
        if operation.bodies is None or body.chunked:
            # Only now does it show whether there is a body at all.
            body.load(limit)
            if body.bytes_read and operation.bodies is None:
                return [Violation("contract.body.undeclared", "body", keyword="undeclared")]
            if not body.bytes_read:
                missing = Violation("contract.body.missing", "body", keyword="required")
                return [missing] if operation.body_required else []
        if wanted is None or wanted.kind == "opaque":
            return []
        try:
            value, found = self._content(wanted, request, limit)
        except TooMany:
            found = [Violation("contract.fields", "body", keyword="count")]
        except NotText:
            found = [Violation("contract.body.malformed", "body", keyword="encoding")]
        except Malformed as malformed:
            found = [Violation("contract.body.malformed", "body", keyword=str(malformed))]
        except JsonProblem as problem:
            found = [Violation("contract.body.json", "body", keyword=problem.rule)]
        return found or self._errors(wanted, value)

    def _errors(self, wanted: Body, value: Any) -> list[Violation]:
        validator = wanted.validator
        if validator is None or validator.is_valid(value):
            return []
        return violations_of("contract.body.invalid", "body", "", validator.errors(value), self._segments)

    def _content(self, wanted: Body, request: Request, limit: int) -> tuple[Any, list[Violation]]:
        """The value of a body, and what is wrong with it already."""
        if wanted.kind == "json":
            value = request.json(self._config.json_depth_max)
            # Every member but the first needs a comma, so that a short body cannot have too many.
            long = request.body.chunked or request.body.length > self._fields_max
            if long and request.body.read(limit).count(b",") >= self._fields_max and _members(value) > self._fields_max:
                raise TooMany
            return value, []
        if wanted.kind == "text":
            return decode(request.body.read(limit).decode("latin-1")), []
        return self._form(wanted, request, limit)

    def _form(self, wanted: Body, request: Request, limit: int) -> tuple[dict[str, Any], list[Violation]]:
        read: Callable[[str], str] = as_is
        if wanted.kind == "form":
            texts, read = _by_name(request.body.read(limit).decode("latin-1"), self._fields_max), unescape
        else:
            media_type = request.media_type
            boundary = dict(media_type.parameters).get("boundary", "") if media_type else ""
            text_max = request.settings.inspect_bytes_max
            pieces = request.body.pieces(limit)
            texts = multipart(pieces, boundary, count_max=self._fields_max, text_bytes_max=text_max)
        found: list[Violation] = []
        value: dict[str, Any] = {}
        for name, raws in texts.items():
            one = wanted.fields.get(name)
            # Parts of a multipart message repeat for an array, whatever the encoding says (3.1.1 §4.8.14.4).
            repeatable = one is None or ("array" in one.shape.kinds and (one.repeatable or wanted.kind == "multipart"))
            if len(raws) > 1 and not repeatable:
                found.append(Violation("contract.parameter.duplicate", "body", name, keyword="duplicate"))
            elif one is not None:
                value[name] = one.value(raws, read)
            else:
                extra = wanted.shape.extra if wanted.shape else None
                value |= properties([(name, [read(raw) for raw in raws])], wanted.shape) if wanted.shape else {}
                if len(raws) > 1 and (extra is None or "array" not in extra.kinds):
                    found.append(Violation("contract.parameter.duplicate", "body", keyword="duplicate"))
        return value, found


def _read(
    one: Parameter,
    raws: Sequence[str],
    read: Callable[[str], str],
    values: list[tuple[Parameter, Sequence[str], Any]],
    found: list[Violation],
) -> None:
    try:
        values.append((one, raws, one.value(raws, read)))
    except NotText:
        found.append(Violation("contract.parameter.invalid", one.place, one.name, keyword="encoding"))
    except JsonProblem as problem:
        found.append(Violation("contract.parameter.invalid", one.place, one.name, keyword=f"json-{problem.rule}"))


def _any_reading(one: Parameter, raws: Sequence[str], validator: Validator) -> bool:
    read = {"query": unescape, "path": decode}.get(one.place, as_is)
    return any(validator.is_valid(value) for value in one.values(raws, read))


def _objects(
    parameters: Parameters,
    others: dict[str, list[str]],
    values: list[tuple[Parameter, Sequence[str], Any]],
    found: list[Violation],
) -> None:
    """Takes what belongs to objects that are spread over parameters out of *others*."""
    for one in parameters.deep.values():
        opening = f"{one.name}["
        names = [name for name in others if name.startswith(opening) and name.endswith("]") and name.count("[") == 1]
        _take(one, {name: name[len(opening) : -1] for name in names}, others, values, found)
    for one in parameters.spread:
        shape = one.shape
        names = [name for name in others if name in shape.properties or (shape.extra and "[" not in name)]
        taken = [name for name in names if name not in parameters.credentials]
        _take(one, dict(zip(taken, taken, strict=True)), others, values, found)


def _take(
    one: Parameter,
    names: dict[str, str],
    others: dict[str, list[str]],
    values: list[tuple[Parameter, Sequence[str], Any]],
    found: list[Violation],
) -> None:
    if not names:
        if one.required:
            found.append(Violation("contract.parameter.missing", "query", one.name, keyword="required"))
        return
    fields = []
    for name, key in names.items():
        raws = others.pop(name)
        shape = one.shape.properties.get(key) or one.shape.extra
        if len(raws) > 1 and (shape is None or "array" not in shape.kinds):
            found.append(Violation("contract.parameter.duplicate", "query", one.name, keyword="duplicate"))
        try:
            fields.append((key, [unescape(raw) for raw in raws]))
        except NotText:
            found.append(Violation("contract.parameter.invalid", "query", one.name, keyword="encoding"))
    values.append((one, (), properties(fields, one.shape)))


def _by_name(native: str, count_max: int) -> dict[str, list[str]]:
    """Escaped texts by readable name."""
    texts: dict[str, list[str]] = {}
    for name, text in split_pairs(native, count_max) if native else ():
        texts.setdefault(unescape(name), []).append(text)
    return texts


def body_of(operation: Operation, request: Request) -> Body | None:
    """The declared body whose media range covers the request's media type; None if there is none."""
    media_type = request.media_type
    if media_type is None or not operation.bodies:
        return None
    essence = media_type.essence
    for body in operation.bodies:
        if body.media_range == essence or (body.covers(essence) and (media_type.json or not body.json_only)):
            read = body.kind != "opaque"
            return body if not read or not media_type.parameters or media_type.charset in UTF8 else None
    return None


def _is_coded(request: Request) -> bool:
    environ = request.environ
    return "HTTP_CONTENT_ENCODING" in environ and environ["HTTP_CONTENT_ENCODING"].strip().lower() not in _UNCODED


def _has_credentials(operation: Operation, request: Request) -> bool:
    return any(all(_present(one, request) for one in alternative) for alternative in operation.security)


def _present(one: Credential, request: Request) -> bool:
    if one.place == "authorization":
        scheme, _, rest = request.header("HTTP_AUTHORIZATION").strip().partition(" ")
        return scheme.lower() == one.name and bool(rest.strip())
    if one.place == "header":
        return bool(one.name) and bool(request.header(one.name).strip())
    if one.place == "cookie":
        with suppress(NotText):
            return any(cookies(request.header("HTTP_COOKIE")).get(one.name, ()))
        return False
    pairs = (pair.partition("=") for pair in request.header("QUERY_STRING").split("&"))
    return any(_text(name) == one.name and _text(text).strip() for name, _, text in pairs)


def _text(raw: str) -> str:
    """The text of a piece of a query string; empty if it is none."""
    try:
        return unescape(raw)
    except NotText:
        return ""


def _members(value: Any) -> int:
    """How many members all arrays and objects in *value* have together."""
    count = 0
    waiting = [value]
    while waiting:
        node = waiting.pop()
        below = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        count += len(below)
        waiting += below
    return count
