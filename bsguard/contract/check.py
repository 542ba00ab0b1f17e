"""Holds a document against the OpenAPI specification, by ``openapi-spec-validator``.

Importing that takes most of a second, so it happens only when a document has to be checked.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from bsguard.contract.pointers import escape

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
#: How long a message of the checker may be; it quotes whole subtrees.
_MESSAGE_CHARS_MAX: Final = 200


def check(document: Document) -> list[DocumentProblem]:
    """What in *document* breaks the specification, each with pointer and remedy."""
    import openapi_spec_validator as checker

    validators: dict[str, Any] = {
        "3.0": checker.OpenAPIV30SpecValidator,
        "3.1": checker.OpenAPIV31SpecValidator,
        "3.2": getattr(checker, "OpenAPIV32SpecValidator", checker.OpenAPIV31SpecValidator),
    }
    problems: dict[tuple[str, str], DocumentProblem] = {}
    try:
        for error in islice(validators[document.version](document.data).iter_errors(), PROBLEMS_COUNT_MAX):
            for pointer, message, remedy in _told(error):
                problem = document.problem(pointer, message, remedy)
                problems.setdefault((problem.pointer, problem.message), problem)
    except Exception as error:  # what it meets in a broken document is not always of its own kind
        message = f"cannot be checked ({type(error).__name__})"
        problems["", message] = document.problem("", message, "mend the problems above, then check again")
    return list(problems.values())


def _told(error: Any) -> list[tuple[str, str, str]]:
    """Pointer, message and remedy of an error; of several alternatives, the errors of the one that came closest."""
    context = getattr(error, "context", None)
    if context:
        from jsonschema.exceptions import best_match

        closest = best_match([error])
        if closest is not None and closest is not error:
            return _told(closest)
    pointer = "".join(f"/{escape(str(part))}" for part in getattr(error, "absolute_path", ()))
    message = " ".join(str(getattr(error, "message", error)).split())
    if len(message) > _MESSAGE_CHARS_MAX:
        message = f"{message[:60]} … {message[-(_MESSAGE_CHARS_MAX - 63) :]}"
    keyword = str(getattr(error, "validator", "") or "")
    named = {
        "DuplicateOperationIDError": "give each operation an id of its own",
        "UnresolvableParameterError": "declare the parameter, with in: path",
        "ParameterDuplicateError": "declare it once",
        "ExtraParametersError": "remove the parameter, or put its name into the path",
    }
    return [(pointer, message, named.get(type(error).__name__, _REMEDIES.get(keyword, "")))]
