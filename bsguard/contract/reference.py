"""The reference engine: ``openapi-core`` judges parameter values and bodies.

It judges what the plan cannot compile exactly, everything with ``BSGUARD_CONTRACT_ENGINE = "reference"``, and a sample
of requests beside the plan. Routing, credentials, duplicates, undeclared parameters and the limits on bodies stay with
the plan, because openapi-core passes several of these. Importing it takes most of a second; a request takes
milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from bsguard.contract.judge import body_of
from bsguard.contract.violations import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bsguard.contract.load import Document
    from bsguard.contract.operations import Operation
    from bsguard.core.request import Request

_STRIPPED: Final = frozenset({"servers", "security"})
#: A host that the document need not know: the operation was found already.
_HOST: Final = "http://bsguard.invalid"


class Reference:
    """openapi-core for one document."""

    def __init__(self, document: Document) -> None:
        import openapi_core
        from jsonschema_path import SchemaPath

        # One server that every request goes to: the plan has found the operation, and looked for credentials.
        data = {**document.data, "servers": [{"url": _HOST}], "security": []}
        data["paths"] = {template: _stripped(item) for template, item in document.data.get("paths", {}).items()}
        validators: dict[str, Any] = {
            "3.0": openapi_core.V30RequestValidator,
            "3.1": openapi_core.V31RequestValidator,
            "3.2": openapi_core.V32RequestValidator,
        }
        self._validator = validators[document.version](SchemaPath.from_dict(data))

    def judge(self, operation: Operation, request: Request, taken: tuple[str, ...]) -> list[Violation]:
        """What is wrong with the values of *request*. Never raises for what a client sent; may raise ``BodyError``."""
        if "#" in operation.template:
            return []
        wanted = body_of(operation, request) if request.body.present else None
        opaque = wanted is not None and wanted.kind == "opaque"
        body = b"" if opaque else request.body.read(request.settings.inspect_bytes_max)
        seen = _Seen(operation, request, taken, body or None)
        found: list[Violation] = []
        try:
            for error in self._validator.iter_errors(seen):
                found += _told(error, opaque)
        except Exception:  # it raises what its parsing meets: TypeError, RecursionError, re.error and more
            found.append(Violation("contract.body.invalid", "request", keyword="unjudgeable"))
        return found


def _stripped(item: Any) -> Any:
    """A path item without servers and security requirements of its own or its operations."""
    if not isinstance(item, dict):
        return item
    made = {key: value for key, value in item.items() if key not in _STRIPPED}
    return {
        key: {name: below for name, below in value.items() if name not in _STRIPPED}
        if isinstance(value, dict)
        else value
        for key, value in made.items()
    }


def _told(error: BaseException, opaque: bool) -> Iterator[Violation]:
    from openapi_core.validation.request import exceptions

    if isinstance(error, exceptions.ParameterValidationError):
        missing = isinstance(error, exceptions.MissingParameterError)
        rule = "contract.parameter.missing" if missing else "contract.parameter.invalid"
        location: Any = error.location
        yield Violation(rule, location, error.name, keyword="required" if missing else "schema")
    elif isinstance(error, exceptions.RequestBodyValidationError):
        if not opaque:
            yield Violation("contract.body.invalid", "body", keyword="schema")
    elif not isinstance(error, exceptions.SecurityValidationError):
        yield Violation("contract.body.invalid", "request", keyword="unjudgeable")


class _Seen:
    """The request as openapi-core wants it."""

    def __init__(self, operation: Operation, request: Request, taken: tuple[str, ...], body: bytes | None) -> None:
        from openapi_core.datatypes import RequestParameters
        from werkzeug.datastructures import EnvironHeaders, ImmutableMultiDict
        from werkzeug.http import parse_cookie
        from werkzeug.wrappers import Request as WerkzeugRequest

        pieces = iter(taken)
        path = "".join(
            quote(next(pieces, "").encode("latin-1")) + piece.partition("}")[2] if index else piece
            for index, piece in enumerate(operation.template.split("{"))
        )
        self.host_url = _HOST
        self.path = path
        self.full_url_pattern = f"{_HOST}{path}"
        self.method = operation.method.lower()
        self.body = body
        self.content_type = request.header("CONTENT_TYPE") or "application/octet-stream"
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(WerkzeugRequest({"QUERY_STRING": request.header("QUERY_STRING")}).args),
            header=EnvironHeaders(request.environ),
            cookie=ImmutableMultiDict(parse_cookie(request.header("HTTP_COOKIE"))),
            path={},
        )
