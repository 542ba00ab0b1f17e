"""XML bodies: the text of the document and the values of its attributes. Nothing is expanded, nothing is fetched.

Reading ends at the first declaration of an entity: a reader that expands it could be made to read anything, and what
it would see is not known here. The entity's own text is kept for the rules. Everything else is expat's, with a limit
on depth and on attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from bsguard.seclang.bodies.model import LimitPassed, ParsedBody, passed

if TYPE_CHECKING:
    from bsguard.seclang.bodies.model import Limits


def parse_xml(body: bytes, limits: Limits) -> ParsedBody:
    """Read a document; ``xml_texts`` holds the text of the root element as one value, in UTF-8."""
    if not body:
        return ParsedBody()
    limit = "body_bytes_max" if len(body) > limits.body_bytes_max else ""
    error = ""
    reader = _Reader(limits)
    try:
        reader.parser.Parse(body[: limits.body_bytes_max], True)
    except LimitPassed as problem:
        limit = limit or problem.limit
    except _EntityDeclared:
        error = "XML that declares an entity"
    except (expat.ExpatError, ValueError, LookupError):  # the latter two come of encodings that expat has not got
        error = "not well-formed XML"
    return ParsedBody(
        xml_texts=reader.texts(),
        xml_runs=reader.runs(),
        xml_attributes=tuple(reader.attributes),
        error=passed(limit) if limit else error,
        limit=limit,
    )


class _EntityDeclared(Exception):
    """The document declares an entity."""


class _Reader:
    """What one document holds."""

    def __init__(self, limits: Limits) -> None:
        self.attributes: list[bytes] = []
        self._limits = limits
        self._pieces: list[str] = []
        #: Before which pieces a tag stands.
        self._tags: list[int] = []
        self._entities: list[bytes] = []
        self._depth = 0
        self._rooted = False
        self.parser = expat.ParserCreate()
        self.parser.ordered_attributes = True
        self.parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._pieces.append
        self.parser.EntityDeclHandler = self._entity

    def texts(self) -> tuple[bytes, ...]:
        """The text of the root, if there is one, then that of entities."""
        root = ["".join(self._pieces).encode("utf-8", "replace")] if self._rooted else []
        return tuple(root + self._entities)

    def runs(self) -> tuple[bytes, ...]:
        """Every text between two tags that is more than white space."""
        ends = [*self._tags, len(self._pieces)]
        texts = ("".join(self._pieces[start:end]) for start, end in zip([0, *ends], ends, strict=False) if start < end)
        return tuple(text.encode("utf-8", "replace") for text in texts if not text.isspace())

    def _start(self, _name: str, attributes: list[str]) -> None:
        self._rooted = True
        self._tags.append(len(self._pieces))
        self._depth += 1
        if self._depth > self._limits.depth_max:
            raise LimitPassed("depth_max")
        if attributes:
            if len(self.attributes) + len(attributes) // 2 > self._limits.arguments_max:
                raise LimitPassed("arguments_max")
            pairs = zip(attributes[::2], attributes[1::2], strict=True)
            self.attributes.extend(
                value.encode("utf-8", "replace") for name, value in pairs if name.partition(":")[0] != "xmlns"
            )

    def _end(self, _name: str) -> None:
        self._tags.append(len(self._pieces))
        self._depth -= 1

    def _entity(self, _name: str, _parameter: bool, value: str | None, *identifiers: Any) -> None:
        kept = [value, *identifiers]  # base, system identifier, public identifier, notation
        self._entities.extend(text.encode("utf-8", "replace") for text in kept if text)
        raise _EntityDeclared
