"""Holds a document against the OpenAPI specification, by ``openapi-spec-validator``.

Importing that takes most of a second, so it happens only when a document has to be checked.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from bsguard.contract.pointers import escape, resolve

if TYPE_CHECKING:
    from bsguard.contract.load import Document, DocumentProblem

#: Problems of one document that are told.
PROBLEMS_COUNT_MAX: Final = 100

_REMEDIES: Final = {
    "required": "add it",
    "additionalProperties": "remove it, or begin its name with x-",
    "unevaluatedProperties": "remove it, or begin its name with x-",
    "type": "write a value of that type",
    "enum": "use one of those",
    "pattern": "spell it as the specification does",
    "format": "spell it as the specification does",
    "uniqueItems": "list each once",
    "dependentRequired": "add what it needs",
}
_NAMED: Final = {
    "DuplicateOperationIDError": "give each operation an id of its own",
    "UnresolvableParameterError": "declare the parameter, with in: path",
    "ParameterDuplicateError": "declare it once",
    "ExtraParametersError": "remove the parameter, or put its name into the path",
}
#: What the checker says where none of several forms fits.
_VAGUE: Final = "is not valid under any of"
#: How it names an operation where it tells no place.
_OPERATION: Final = re.compile(r" for '([a-z]+)' (?:operation )?in '([^']*)'")
#: How long a message of the checker may be; it quotes whole subtrees.
_MESSAGE_CHARS_MAX: Final = 200


def check(document: Document) -> list[DocumentProblem]:
    """What in *document* breaks the specification, each with pointer and remedy."""
    import openapi_spec_validator as checker

    validators: dict[str, Any] = {
        "3.0": checker.OpenAPIV30SpecValidator,
        "3.1": checker.OpenAPIV31SpecValidator,
        "3.2": checker.OpenAPIV32SpecValidator,
    }
    problems: dict[tuple[str, str], DocumentProblem] = {}
    places = _Places(document.data)
    try:
        for error in islice(validators[document.version](document.data).iter_errors(), PROBLEMS_COUNT_MAX):
            problem = _told(error, document, places)
            problems.setdefault((problem.pointer, problem.message), problem)
    except Exception as error:  # what it meets in a broken document is not always of its own kind
        message = f"cannot be checked ({type(error).__name__})"
        problems["", message] = document.problem("", message, "mend the problems above, then check again")
    return _without_vague(list(problems.values()))


def _without_vague(problems: list[DocumentProblem]) -> list[DocumentProblem]:
    """*problems* without those that only say that none of several forms fits, where one below says what is wrong."""
    below = [one.pointer for one in problems]
    return [
        one
        for one in problems
        if _VAGUE not in one.message or not any(pointer.startswith(f"{one.pointer}/") for pointer in below)
    ]


def _told(error: Any, document: Document, places: _Places) -> DocumentProblem:
    """The problem that an error stands for; of several alternatives, the one that came closest."""
    if getattr(error, "context", None):
        from jsonschema.exceptions import best_match

        closest = best_match([error])
        if closest is not None and closest is not error:
            return _told(closest, document, places)
    # One of the checker's validators goes on to quote the schema and the instance.
    message = " ".join(str(getattr(error, "message", error)).partition("\n\nFailed validating")[0].split())
    if len(message) > _MESSAGE_CHARS_MAX:
        message = f"{message[:60]} … {message[-(_MESSAGE_CHARS_MAX - 63) :]}"
    remedy = _NAMED.get(type(error).__name__) or _REMEDIES.get(str(getattr(error, "validator", "")), "")
    pointer = places.of(error)
    operation = _OPERATION.search(message)
    if not pointer and operation is not None:
        pointer = f"/paths/{escape(operation[2])}/{operation[1]}"
    if pointer.endswith("/type") and _VAGUE in message:
        remedy = "use one of array, boolean, integer, null, number, object and string"
    return document.problem(pointer, message, remedy)


class _Places:
    """Where things stand in a document. The checker looks at each schema by itself, and tells places within it."""

    def __init__(self, data: Any) -> None:
        self._data = data
        #: Pointers of mappings and lists by identity, and of other values by their last part.
        self._containers: dict[int, str] = {}
        self._values: dict[str, list[tuple[str, Any]]] = {}
        self._walk(data, "")

    def of(self, error: Any) -> str:
        """The pointer of what *error* is about, as exact as can be told."""
        relative = "".join(f"/{escape(str(part))}" for part in getattr(error, "absolute_path", ()))
        found: Any = getattr(error, "instance", None)
        if found is self._data:
            return relative  # one of the checker's validators tells whole paths, and the whole document
        if isinstance(found, (dict, list)) and id(found) in self._containers:
            return self._containers[id(found)]
        if relative and resolve(self._data, relative) == found:
            return relative
        for pointer, value in self._values.get(relative.rpartition("/")[2], ()):
            if relative and pointer.endswith(relative) and value == found:
                return pointer
        schema = self._containers.get(id(getattr(error, "schema", None)), "")
        return f"{schema}/default" if schema and not relative else schema or relative

    def _walk(self, node: Any, pointer: str) -> None:
        if not isinstance(node, (dict, list)):
            self._values.setdefault(pointer.rpartition("/")[2], []).append((pointer, node))
            return
        self._containers[id(node)] = pointer
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            self._walk(value, f"{pointer}/{escape(str(key))}")
