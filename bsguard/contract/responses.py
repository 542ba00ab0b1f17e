"""Holds answers of the application against the document, for a sample of requests; only ever reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bsguard.contract.pointers import escape, follow
from bsguard.contract.schemas import Translator
from bsguard.contract.validators import Schemas, SchemaUnusable
from bsguard.contract.violations import Violation, segments_of, violations_of
from bsguard.core import strict_json
from bsguard.core.media import parse_media_type
from bsguard.core.strict_json import JsonProblem

if TYPE_CHECKING:
    from bsguard.contract.operations import Compiled, Operation
    from bsguard.core.driver import ResponseHead

#: Deeper answers are not judged.
_JSON_DEPTH_MAX = 64


@dataclass(slots=True)
class _Answers:
    """The declared answers of one operation: definition names by status and media type, empty without a schema."""

    by_status: dict[str, dict[str, str]] = field(default_factory=dict)

    def of(self, status: int) -> dict[str, str] | None:
        """The media types of *status*; None if it is not declared."""
        for key in (str(status), f"{status // 100}XX", "default"):
            if key in self.by_status:
                return self.by_status[key]
        return None


class Responses:
    """The declared responses of one document."""

    def __init__(self, compiled: Compiled) -> None:
        translator = Translator(compiled.document, "response")
        self._answers: dict[Operation, _Answers] = {}
        data = compiled.document.data
        for operation in compiled.operations:
            answers = self._answers[operation] = _Answers()
            pointer = f"{operation.pointer}/responses"
            for status, response in (compiled.schema(pointer) or {}).items():
                node, at = follow(data, response, f"{pointer}/{escape(str(status))}")
                content = node.get("content", {}) if isinstance(node, dict) else {}
                made = answers.by_status[str(status).upper().replace("DEFAULT", "default")] = {}
                for media, one in content.items():
                    schema = f"{at}/content/{escape(media)}/schema"
                    made[media.partition(";")[0].strip().lower()] = translator.define(schema) if "schema" in one else ""
        self._schemas = Schemas(translator.definitions, unsupported=translator.unsupported)
        self._segments = segments_of(translator.properties)

    def judge(self, operation: Operation, response: ResponseHead) -> list[Violation]:
        """What of an answer is not as declared. A body that was too long to keep is not judged."""
        content = self._answers[operation].of(response.status)
        if content is None:
            return [Violation("contract.response", "request", keyword="status")]
        raw = next((value for name, value in response.headers if name.lower() == "content-type"), "")
        parsed = parse_media_type(raw) if raw else None
        if not content or parsed is None:
            return []
        family = parsed.essence.partition("/")[0] + "/*"
        found = next((one for one in (parsed.essence, family, "*/*") if one in content), None)
        if found is None:
            return [Violation("contract.response", "header", "Content-Type", keyword="content")]
        if not content[found] or not parsed.json or not response.body:
            return []
        return self._body(content[found], response.body)

    def _body(self, definition: str, body: bytes) -> list[Violation]:
        try:
            value: Any = strict_json.loads(body, _JSON_DEPTH_MAX)
            validator = self._schemas.of(definition)
        except JsonProblem as problem:
            return [Violation("contract.response", "body", keyword=problem.rule)]
        except SchemaUnusable:
            return []
        if validator.is_valid(value):
            return []
        return violations_of("contract.response", "body", "", validator.errors(value), self._segments)
