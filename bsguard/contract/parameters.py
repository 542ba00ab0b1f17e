"""Makes parameters and form fields of what a document says about them, or says why that cannot be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bsguard.contract.pointers import escape
from bsguard.contract.values import Parameter
from bsguard.core.media import parse_media_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from bsguard.contract.shapes import Shapes
    from bsguard.contract.values import Shape

FORM: Final = "application/x-www-form-urlencoded"
#: Styles of each place, the default first.
STYLES: Final[dict[str, tuple[str, ...]]] = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form", "cookie"),
}
#: Headers that are described elsewhere in a document (3.1.1 §4.8.12.1).
_OTHER_HEADERS: Final = frozenset({"accept", "content-type", "authorization"})


class NotExact(Exception):
    """Cannot be compiled exactly; the message says what."""


class NotKnown(Exception):
    """Neither the plan nor the reference engine knows it; the message says what."""


class Declared:
    """Reads declarations of one document. *define* makes a definition of the schema at a pointer, and names it."""

    def __init__(self, shapes: Shapes, define: Callable[[str], str]) -> None:
        self._shapes = shapes
        self._define = define

    def parameter(self, node: dict[str, Any], pointer: str) -> Parameter | None:
        """The parameter that *node* declares; None for a header that is described elsewhere.

        Raises :class:`NotExact` and :class:`NotKnown`.
        """
        name, place = str(node.get("name", "")), node.get("in")
        if place == "querystring":
            return self._querystring(node, pointer)
        if place not in STYLES:
            raise NotExact(f"a parameter in {place!r}")
        if place == "header" and name.lower() in _OTHER_HEADERS:
            return None
        json = "content" in node
        if json:
            media, at, schema = _only_content(node, pointer)
            parsed = parse_media_type(media)
            if parsed is None or not parsed.json:
                raise NotExact(f"a parameter as {media}")
        else:
            at, schema = f"{pointer}/schema", node.get("schema")
        style: Any = node.get("style", STYLES[place][0])
        shape = self._shapes.of(schema, at)
        if style not in STYLES[place]:
            raise NotExact(f"the style {style!r} in {place}")
        if style == "cookie":
            if not shape.scalar:
                raise NotKnown("a list or object in the style of cookies is not known")
            style = "form"  # for a single value they are the same
        explode = node.get("explode")
        nested = [one for one in (shape.items, shape.extra, *shape.properties.values()) if one and not one.scalar]
        if nested and not json and not (style == "deepObject" and all("object" not in one.kinds for one in nested)):
            raise NotExact("a parameter with arrays or objects inside it, for which no style is defined")
        return Parameter(
            name=name,
            place=place,
            required=place == "path" or node.get("required") is True,
            style=style,
            explode=style == "form" if not isinstance(explode, bool) else explode,
            shape=shape,
            definition=self._define(at) if schema is not None else "",
            json=json,
            empty=place == "query" and node.get("allowEmptyValue") is True,
        )

    def _querystring(self, node: dict[str, Any], pointer: str) -> Parameter:
        """A parameter that is the whole query string (OpenAPI 3.2): an object whose properties are its names."""
        media, at, schema = _only_content(node, pointer)
        shape = self._shapes.of(schema, at)
        below = [one for one in (shape.extra, *shape.properties.values()) if one is not None]
        lists = all("object" not in one.kinds and (one.items is None or one.items.scalar) for one in below)
        if media != FORM or shape.kinds != {"object"} or not lists:
            raise NotKnown(f"a query string that is no {FORM} of an object with values and lists is not known")
        required = node.get("required") is True
        return Parameter(str(node.get("name", "")), "query", required, "form", True, shape, self._define(at))


def field_of(name: str, shape: Shape, encoding: dict[str, Any]) -> Parameter:
    """A form field, read as a parameter is: objects are JSON unless a style says otherwise (3.1.1 §4.8.15)."""
    styled = "style" in encoding or "explode" in encoding
    json = "json" in str(encoding.get("contentType", "")) or ("object" in shape.kinds and not styled)
    explode = encoding.get("explode", encoding.get("style", "form") == "form")
    return Parameter(name, "query", False, encoding.get("style", "form"), explode is True, shape, "", json)


def _only_content(node: dict[str, Any], pointer: str) -> tuple[str, str, Any]:
    """The one media type of a parameter, with pointer and schema."""
    media, content = next(iter(node.get("content", {}).items()), ("", {}))
    return (
        media,
        f"{pointer}/content/{escape(media)}/schema",
        content.get("schema") if isinstance(content, dict) else None,
    )
