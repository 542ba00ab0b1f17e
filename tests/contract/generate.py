"""Random values of schemas, and random damage to them: the raw material of the differential tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bsguard.contract.pointers import follow

if TYPE_CHECKING:
    import random

    from bsguard.contract.operations import Compiled, Operation
    from bsguard.contract.values import Parameter

#: What attackers and careless clients send for anything.
ODD_TEXTS = ("", "0", "-1", "7", "+7", "007", "1_000", " 7", "1.0", "1.5", "1e3", "NaN", "inf", "true", "True", "yes")
ODD_TEXTS += (
    "null",
    "a",
    "a\n",
    "\n",
    "é",
    "٧",
    "2026-01-01",
    "2026-13-01",
    "2026-01-01T00:00:00Z",
    "x" * 300,
    "a,b",
    "a@b",
)
ODD_TEXTS += ("4a0b8f6e-4a2f-4f2b-8c3e-0d3c5f6a7b8c", "https://example.com/a", "99999999999999999999", "{}", "[]")
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    1.0,
    1.5,
    10**19,
    "",
    "a",
    "a\n",
    "x" * 300,
    [],
    [1],
    ["a"],
    {},
    {"a": 1},
)


class Maker:
    """Makes values for the schemas of one document."""

    def __init__(self, document: dict[str, Any], random: random.Random) -> None:
        self.document = document
        self.random = random

    def value(self, schema: Any, depth: int = 0) -> Any:
        """A value that the schema most likely allows."""
        node, _ = follow(self.document, schema, "")
        random = self.random
        if not isinstance(node, dict) or depth > 6:
            return random.choice(("a", 1))
        if "const" in node or node.get("enum"):
            return random.choice(node.get("enum") or [node["const"]])
        for key in ("oneOf", "anyOf"):
            if node.get(key):
                return self._merged(node, random.choice(node[key]), depth)
        if node.get("allOf"):
            parts = [self.value(one, depth + 1) for one in node["allOf"]]
            objects = {key: value for part in parts if isinstance(part, dict) for key, value in part.items()}
            own = self.value({**node, "allOf": []}, depth + 1) if "properties" in node else {}
            return own | objects if objects else parts[-1]
        kinds = node.get("type")
        kind = random.choice(kinds) if isinstance(kinds, list) else kinds
        if kind is None:
            kind = "object" if "properties" in node else "array" if "items" in node else "string"
        made: Any = getattr(self, f"_{kind}")(node, depth)
        return made

    def _merged(self, node: dict[str, Any], branch: Any, depth: int) -> Any:
        chosen = self.value(branch, depth + 1)
        rest = {key: value for key, value in node.items() if key not in ("oneOf", "anyOf", "allOf")}
        own = self.value(rest, depth + 1) if "properties" in rest else None
        return own | chosen if isinstance(own, dict) and isinstance(chosen, dict) else chosen

    def _object(self, node: dict[str, Any], depth: int) -> dict[str, Any]:
        required = node.get("required", ())
        properties = node.get("properties", {})
        wanted = [name for name in properties if name in required or self.random.random() < (0.4 if depth < 2 else 0.1)]
        return {name: self.value(properties[name], depth + 1) for name in wanted}

    def _array(self, node: dict[str, Any], depth: int) -> list[Any]:
        least = node.get("minItems", 0)
        return [self.value(node.get("items", {}), depth + 1) for _ in range(max(least, self.random.randint(0, 2)))]

    def _string(self, node: dict[str, Any], _depth: int) -> str:
        formats = {
            "date": "2026-01-01",
            "date-time": "2026-01-01T00:00:00Z",
            "uuid": "4a0b8f6e-4a2f-4f2b-8c3e-0d3c5f6a7b8c",
            "email": "a@example.com",
            "uri": "https://example.com/",
            "url": "https://example.com/",
            "byte": "YQ==",
        }
        text = formats.get(str(node.get("format")), "abc")
        if "pattern" in node:
            digits = "0123456789abcdef" * 2
            known = {
                "^[0-9a-f]{32}$": digits,
                "^gen_": f"gen_{digits}",
                "^file_": f"file_{digits}",
                "^[0-9]{1,11}$": "17",
            }
            text = next((made for start, made in known.items() if node["pattern"].startswith(start)), "abc")
        return text.ljust(node.get("minLength", 0), "a")[: node.get("maxLength")]

    def _integer(self, node: dict[str, Any], _depth: int) -> int:
        return int(node.get("minimum", node.get("maximum", 3)))

    def _number(self, node: dict[str, Any], depth: int) -> float:
        return self._integer(node, depth) + self.random.choice((0, 0.5))

    def _boolean(self, _node: dict[str, Any], _depth: int) -> bool:
        return self.random.random() < 0.5

    def _null(self, _node: dict[str, Any], _depth: int) -> None:
        return None

    def damaged(self, value: Any) -> Any:
        """*value* with one thing changed, somewhere."""
        random = self.random
        if isinstance(value, dict) and value and random.random() < 0.8:
            name = random.choice(list(value))
            what = random.random()
            if what < 0.15:
                return {key: one for key, one in value.items() if key != name}
            if what < 0.3:
                return value | {random.choice(("unknown", "id", "type")): random.choice(ODD_VALUES)}
            return value | {name: self.damaged(value[name])}
        if isinstance(value, list) and value and random.random() < 0.7:
            index = random.randrange(len(value))
            return [*value[:index], self.damaged(value[index]), *value[index + 1 :]]
        if isinstance(value, str) and random.random() < 0.3:
            return value + random.choice(("\n", "x" * 5000, "é", "@"))
        return random.choice(ODD_VALUES)

    def text(self, parameter: Parameter, schema: Any) -> str:
        """The text of a parameter's value, damaged now and then."""
        if self.random.random() < 0.35:
            return self.random.choice(ODD_TEXTS)
        value = self.value(schema)
        if isinstance(value, (list, dict)):
            if parameter.json:
                return json.dumps(value)
            value = ",".join(
                str(one) for one in (value if isinstance(value, list) else [x for p in value.items() for x in p])
            )
        return str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)


def request(made: Maker, compiled: Compiled, operation: Operation) -> dict[str, Any] | None:
    """The facts of one random request to *operation*, for ``testing.environ``; None if the path cannot be made."""
    random = made.random
    arranged = operation.parameters
    path = operation.template
    for one in arranged.path:
        text = made.text(one, compiled.schema_of(one.definition)) or "x"
        if "/" in text:
            return None
        path = path.replace(f"{{{one.name}}}", quote(text, safe=""))
    pairs = []
    for name, one in arranged.query.items():
        if one.required or random.random() < 0.5:
            schema = compiled.schema_of(one.definition)
            if one.repeatable and random.random() < 0.5:
                node, _ = follow(compiled.document.data, schema, "")
                texts = [str(made.value(node.get("items", {}))) for _ in range(random.randint(1, 3))]
            else:
                texts = [made.text(one, schema)]
            pairs += [f"{quote(name)}={quote(text, safe='')}" for text in texts]
    headers = {"Authorization": "Bearer x", "X-Cron-Secret": "x", "webhook-signature": "x", "Host": "api.us.babysea.ai"}
    for one in arranged.header.values():
        if one.required or random.random() < 0.5:
            text = made.text(one, compiled.schema_of(one.definition)).replace("\n", " ")
            headers[one.name] = text.encode("ascii", "replace").decode()
    body = b""
    rule = next((one for one in operation.bodies or () if one.kind == "json"), None)
    if rule is not None and (operation.body_required or random.random() < 0.8):
        schema = compiled.schema(f"{operation.pointer}/requestBody")
        node, _ = follow(compiled.document.data, schema, "")
        media = next(media for media in node["content"] if media.partition(";")[0].strip().lower() == rule.media_range)
        value = made.value(node["content"][media].get("schema", {}))
        for _ in range(random.choice((0, 1, 1, 2))):
            value = made.damaged(value)
        body = json.dumps(value).encode()
        headers["Content-Type"] = rule.media_range
    elif operation.bodies and operation.body_required:
        return None  # bodies that are no JSON are compared by hand-written tests
    target = path + ("?" + "&".join(pairs) if pairs else "")
    return {"method": operation.method, "target": target, "headers": headers, "body": body}
