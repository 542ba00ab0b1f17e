"""The rules of the contract layer by id, each with what it refuses, and the answer that the client gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bsguard.core import codes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bsguard.core.codes import Code

RULES: Final[Mapping[str, str]] = {
    "contract.host": "A path that a document describes, on a host that is none of its servers (RFC 9110 §15.5.20).",
    "contract.endpoint": "A path within the documents' prefixes that no document describes.",
    "contract.method": "A method that the document does not declare for the path.",
    "contract.security": "None of the operation's security requirements has its credentials present.",
    "contract.parameter.missing": "A required parameter is missing.",
    "contract.parameter.duplicate": "A parameter that is no list was sent twice; readers differ in which they take.",
    "contract.parameter.invalid": "A parameter's value breaks its schema, or its text is not UTF-8.",
    "contract.parameter.undeclared": "A query parameter that the operation does not declare.",
    "contract.fields": "More parameters, form fields or JSON values than the limit.",
    "contract.media-type": "A media type, charset or content coding that the operation does not declare for its body.",
    "contract.body.missing": "The operation needs a body and there is none.",
    "contract.body.undeclared": "The operation takes no body and there is one.",
    "contract.body.json": "The body is not strict JSON: encoding, duplicate keys, depth, numbers or syntax.",
    "contract.body.malformed": "The body is not a well-formed form, multipart message or UTF-8 text.",
    "contract.body.invalid": "The body breaks the schema of its media type.",
    "contract.shadow": "The reference engine judged a sampled request in another way than the plan; only reported.",
}

#: What the client is told.
CODE_OF: Final[Mapping[str, Code]] = {
    "contract.host": codes.HOST_NOT_DECLARED,
    "contract.endpoint": codes.UNKNOWN_ENDPOINT,
    "contract.method": codes.METHOD_NOT_DECLARED,
    "contract.security": codes.CREDENTIALS_MISSING,
    "contract.parameter.missing": codes.INVALID_PARAMETER,
    "contract.parameter.duplicate": codes.INVALID_PARAMETER,
    "contract.parameter.invalid": codes.INVALID_PARAMETER,
    "contract.parameter.undeclared": codes.UNKNOWN_PARAMETER,
    "contract.fields": codes.TOO_MANY_FIELDS,
    "contract.media-type": codes.MEDIA_TYPE_NOT_DECLARED,
    "contract.body.missing": codes.BODY_NOT_DECLARED,
    "contract.body.undeclared": codes.BODY_NOT_DECLARED,
    "contract.body.json": codes.INVALID_JSON,
    "contract.body.malformed": codes.CONTRACT_BROKEN,
    "contract.body.invalid": codes.CONTRACT_BROKEN,
    "contract.shadow": codes.CONTRACT_BROKEN,
}

#: In words, for the operator.
REASON_OF: Final[Mapping[str, str]] = {
    "contract.host": "no document has a server of this host",
    "contract.endpoint": "no document describes this path",
    "contract.method": "the document does not declare this method for the path",
    "contract.security": "no security requirement of the operation has its credentials",
    "contract.parameter.missing": "a required parameter is missing",
    "contract.parameter.duplicate": "a parameter was sent twice",
    "contract.parameter.invalid": "a parameter breaks its schema",
    "contract.parameter.undeclared": "a query parameter is not declared",
    "contract.fields": "too many fields",
    "contract.media-type": "the operation does not declare this media type",
    "contract.body.missing": "the operation needs a body",
    "contract.body.undeclared": "the operation takes no body",
    "contract.body.json": "the body is not strict JSON",
    "contract.body.malformed": "the body is not well-formed",
    "contract.body.invalid": "the body breaks its schema",
    "contract.shadow": "plan and reference engine disagree",
}
