"""One request (and its response) as rules see it: variables by name, TX and its like, what has matched so far.

Everything is bytes. A variable is a list of entries, key and value; one without keys has a single entry whose key is
empty. What is only rarely asked for is made when it is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from bsguard.seclang.bodies import PROCESSORS, Limits, ParsedBody, parse_urlencoded, parts_of_plain
from bsguard.seclang.macros import Reference
from bsguard.seclang.made import MADE, unescaped
from bsguard.seclang.operators import integer
from bsguard.seclang.variables import SCALARS, WRITABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bsguard.seclang.compiler import Runnable
    from bsguard.seclang.macros import Template
    from bsguard.seclang.prefilter import Seen
    from bsguard.seclang.request import Request, Response

#: Key and value.
Entry = tuple[bytes, bytes]

#: In a quoted cookie, what Python's parsers undo for the application; rules see the value both ways.
_QUOTED_PAIR: Final = re.compile(rb"\\(?:([0-3][0-7]{2})|(.))", re.DOTALL)
_QUOTED_VALUE: Final = re.compile(rb'=\s*+"((?:[^\\"]++|\\.)*+)"', re.DOTALL)
_EMPTY: Final[list[Entry]] = [(b"", b"")]
_NOTHING: Final[list[Entry]] = []
_NO_QUERY: Final = ParsedBody()
#: What REQBODY_PROCESSOR becomes by the media type; a rule may change it in phase 1.
_MEDIA: Final = (
    (re.compile(rb"\s*application/x-www-form-urlencoded\s*(?:;|$)", re.IGNORECASE), b"URLENCODED"),
    (re.compile(rb"\s*multipart/form-data\s*(?:[;,]|$)", re.IGNORECASE), b"MULTIPART"),
    (re.compile(rb"\s*application/(?:[^\s/;,]+\+)?json\s*(?:;|$)", re.IGNORECASE), b"JSON"),
    (re.compile(rb"\s*(?:application/(?:[^\s/;,]+\+)?|text/)xml\s*(?:;|$)", re.IGNORECASE), b"XML"),
)
_MEDIA_REMEMBERED: Final = 256
#: As many values as it is remembered of what becomes of them on their way through transformations.
_STAGES_MAX: Final = 8192
#: Processors that leave REQUEST_BODY empty: their bodies are read in parts, and raw markup would match rules for text.
_WITHOUT_RAW_BODY: Final = frozenset({b"MULTIPART", b"XML"})


class Transaction:
    """The variables of one exchange and the state that rules change."""

    __slots__ = (
        "_keyed",
        "_media",
        "_stages",
        "body_forced",
        "exclusions",
        "found",
        "found_later",
        "is_changed",
        "limits",
        "matched",
        "removed",
        "request",
        "request_body",
        "seen",
        "stores",
        "tx_is_known",
        "unread",
        "values",
    )

    def __init__(
        self, request: Request, limits: Limits, initial: Mapping[bytes, bytes], *, tx_is_known: bool = False
    ) -> None:
        self.request = request
        self.limits = limits
        #: Collections that rules write to.
        self.stores: dict[str, Mapping[bytes, bytes]] = {"TX": initial if tx_is_known else dict(initial)}
        #: Whether TX still is what every request has at this point; then it is shared by all of them.
        self.tx_is_known = tx_is_known
        self.values: dict[str, list[Entry]] = {}
        self._keyed: dict[str, dict[bytes, list[Entry]]] = {}
        #: What became of values on their way through transformations.
        self._stages: dict[tuple[tuple[Callable[[bytes], bytes], ...], bool, bytes], list[bytes]] = {}
        #: Rules switched off by ``ctl:ruleRemove…``, by id.
        self.removed: set[int] = set()
        #: Targets taken away by ``ctl:ruleRemoveTarget…``: ids, name of the collection, test of the key.
        self.exclusions: list[tuple[frozenset[int], str, Callable[[bytes], bool]]] = []
        #: Bits that the prefilter has found in the head, -1 before it has looked.
        self.found = -1
        #: Bits that it has found elsewhere, and whether it has to look again.
        self.found_later = 0
        self.is_changed = True
        #: What it has found there, by part of the request.
        self.seen: dict[str, Seen] = {}
        self.body_forced = False
        #: Whether bodies are looked at, as ``ctl:requestBodyAccess`` may change.
        self.request_body = True
        #: What could not be read as what it says it is, query or body, if anything.
        self.unread: ParsedBody | None = None
        #: Name and value of what the current rule has matched, in order.
        self.matched: list[Entry] = []
        self._read_head()

    # Reading variables.

    def entries(self, name: str) -> list[Entry]:
        """The entries of a variable."""
        found = self.values.get(name)
        if found is not None:
            return found
        if name in WRITABLE:
            return list(self.stores.get(name, {}).items())
        make = MADE.get(name)
        if make is not None:
            return make(self)
        return _EMPTY if name in SCALARS else _NOTHING

    def with_key(self, name: str, key: bytes) -> list[Entry]:
        """The entries of a variable whose key is *key* (lower case), case aside."""
        store = self.stores.get(name)
        if store is not None:
            value = store.get(key)
            return [] if value is None else [(key, value)]
        keyed = self._keyed.get(name)
        if keyed is None:
            keyed = {}
            for entry in self.entries(name):
                keyed.setdefault(entry[0].lower(), []).append(entry)
            if name in self.values:
                self._keyed[name] = keyed
        return keyed.get(key, [])

    def set(self, name: str, entries: list[Entry]) -> None:
        """Give a variable its entries."""
        self.is_changed = True
        self.values[name] = entries
        self._keyed.pop(name, None)

    def scalar(self, name: str, value: bytes) -> None:
        """Give a variable without keys its value."""
        self.values[name] = [(b"", value)]

    def first(self, name: str, key: bytes = b"") -> bytes:
        """The value that a macro stands for: the first entry's, empty if there is none."""
        found = self.with_key(name, key) if key and name not in SCALARS else self.entries(name)
        return found[0][1] if found else b""

    def expand(self, template: Template) -> bytes:
        """Fill in a template."""
        filled = []
        for part in template:
            if not isinstance(part, Reference):
                filled.append(part)
            elif part.name == "TX":  # nearly all are
                filled.append(self.stores["TX"].get(part.key, b""))
            else:
                filled.append(self.first(part.name, part.key))
        return b"".join(filled)

    def stages(self, link: Runnable, value: bytes) -> list[bytes]:
        """What the operator of *link* sees of a value: worked out once, however many rules look at it in this way."""
        known = self._stages
        key = (link.transformations, link.multi_match, value)
        found = known.get(key)
        if found is None:
            found = link.stages(value)
            if len(known) < _STAGES_MAX:
                known[key] = found
        return found

    # What rules change.

    def write(self, collection: str, key: bytes, sign: str, value: bytes) -> None:
        """Carry out a ``setvar``."""
        store = self._writable(collection)
        key = key.lower()
        if sign == "=":
            store[key] = value
        elif sign == "!":
            store.pop(key, None)
        else:
            change = integer(value)
            store[key] = b"%d" % (integer(store.get(key, b"")) + (change if sign == "+" else -change))

    def capture(self, groups: Sequence[bytes]) -> None:
        """Store TX:0 and on."""
        tx = self._writable("TX")
        for index, group in enumerate(groups):
            tx[b"%d" % index] = group

    def own_tx(self) -> None:
        """Make TX this transaction's own."""
        if self.tx_is_known:
            self.tx_is_known = False
            self.stores["TX"] = dict(self.stores["TX"])

    def _writable(self, collection: str) -> dict[bytes, bytes]:
        if collection == "TX":
            self.own_tx()
        store: dict[bytes, bytes] = self.stores.setdefault(collection, {})  # type: ignore[assignment]
        return store

    def found_before(self, found: int) -> None:
        """Take over what was found in the whole head beforehand, so that the prefilter need not look again."""
        self.found = found
        self.is_changed = False

    # From the request to variables.

    def _read_head(self) -> None:
        request, values = self.request, self.values
        path, _, query = request.target.partition(b"#")[0].partition(b"?")
        values["REQUEST_METHOD"] = [(b"", request.method)]
        values["REQUEST_PROTOCOL"] = [(b"", request.protocol)]
        values["REQUEST_URI_RAW"] = [(b"", request.target)]
        values["REQUEST_FILENAME"] = [(b"", unescaped(path))]
        values["QUERY_STRING"] = [(b"", query)]
        values["REMOTE_ADDR"] = [(b"", request.client)]
        headers = list(request.headers)
        values["REQUEST_HEADERS"] = headers
        cookies: list[Entry] = []
        media: bytes | None = None
        for header, content in headers:
            lower = header.lower()
            if lower == b"cookie":
                cookies += _cookies(content)
            elif lower == b"content-type" and media is None:
                media = content
        values["REQUEST_COOKIES"] = cookies
        values["REQUEST_COOKIES_NAMES"] = [(name, name) for name, _ in cookies]
        queried = parse_urlencoded(query, self.limits) if query else _NO_QUERY
        arguments = list(queried.arguments)
        values["ARGS_GET"] = values["ARGS"] = arguments
        values["ARGS_GET_NAMES"] = values["ARGS_NAMES"] = [(name, name) for name, _ in arguments]
        if queried.error:
            self.scalar("URLENCODED_ERROR", b"1")
            self.unread = queried
        self._media = media or b""
        self.scalar("REQBODY_PROCESSOR", _processor(media) if media else b"")

    def read_body(self) -> None:
        """Fill the variables of the request's body, with the processor that stands in REQBODY_PROCESSOR."""
        if not self.request_body:
            return
        body = self.request.body
        processor = self.first("REQBODY_PROCESSOR")
        self.scalar("REQUEST_BODY_LENGTH", b"%d" % len(body))
        raw = self.body_forced or processor not in _WITHOUT_RAW_BODY
        if raw and len(body) > self.limits.body_bytes_max:
            self._take(ParsedBody(error="longer than body_bytes_max allows", limit="body_bytes_max"))
            return
        if raw and body:
            self.set("REQUEST_BODY", [(b"", body)])
        parse = PROCESSORS.get(processor.decode("ascii", "replace"))
        if parse is None and raw and body:
            self.set("REQUEST_BODY_PLAIN", [(b"", body), *((b"", part) for part in parts_of_plain(body, self.limits))])
        if parse is not None and body:
            self._take(parse(body, self._media, self.limits))

    def _take(self, parsed: ParsedBody) -> None:
        arguments = list(parsed.arguments)
        names = [(name, name) for name, _ in arguments]
        self.set("ARGS_POST", arguments)
        self.set("ARGS_POST_NAMES", names)
        self.set("ARGS", self.values["ARGS_GET"] + arguments)
        self.set("ARGS_NAMES", self.values["ARGS_GET_NAMES"] + names)
        self.scalar("FILES_COMBINED_SIZE", b"%d" % sum(size for _, size in parsed.file_sizes))
        if parsed.files or parsed.part_headers:
            self._take_parts(parsed)
        for flag in parsed.flags:
            self.scalar(f"MULTIPART_{flag}", b"1")
        texts = [(b"/*", text) for text in parsed.xml_texts] + [(b"//text()", text) for text in parsed.xml_runs]
        texts += [(b"//@*", value) for value in parsed.xml_attributes]
        if texts:
            self.set("XML", texts)
        if parsed.strict_error:
            self.scalar("MULTIPART_STRICT_ERROR", b"1")
        if parsed.error:
            self.unread = parsed
            message = parsed.error.encode()
            for name in ("REQBODY_ERROR", "REQBODY_PROCESSOR_ERROR"):
                self.scalar(name, b"1")
                self.scalar(f"{name}_MSG", message)

    def _take_parts(self, parsed: ParsedBody) -> None:
        """The same for the parts of a multipart body."""
        names = [(name, name) for name, _ in parsed.files]
        self.set("FILES", list(parsed.files))
        self.set("FILES_NAMES", names)
        self.set("FILES_SIZES", [(name, b"%d" % size) for name, size in parsed.file_sizes])
        self.set("MULTIPART_FILENAME", list(parsed.files))
        self.set("MULTIPART_NAME", names)
        self.set("MULTIPART_PART_HEADERS", list(parsed.part_headers))

    def read_response_head(self, response: Response) -> None:
        """Fill the variables of the response's head."""
        headers = list(response.headers)
        self.set("RESPONSE_HEADERS", headers)
        self.set("RESPONSE_HEADERS_NAMES", [(name, name) for name, _ in headers])
        self.scalar("RESPONSE_STATUS", b"%d" % response.status)
        self.scalar("RESPONSE_PROTOCOL", response.protocol)
        self.scalar("STATUS_LINE", b"%s %d" % (response.protocol, response.status))
        media = self.first("RESPONSE_HEADERS", b"content-type")
        self.scalar("RESPONSE_CONTENT_TYPE", media)
        self.scalar("RESPONSE_CONTENT_LENGTH", b"%d" % len(response.body))

    def read_response_body(self, response: Response) -> None:
        """Fill the variable of the response's body."""
        self.set("RESPONSE_BODY", [(b"", response.body)])


@lru_cache(maxsize=_MEDIA_REMEMBERED)
def _processor(media: bytes) -> bytes:
    return next((name for pattern, name in _MEDIA if pattern.match(media)), b"")


def _cookies(line: bytes) -> list[Entry]:
    found: list[Entry] = []
    for part in line.split(b";"):
        name, _, value = part.partition(b"=")
        name, value = name.strip(), value.strip()
        if name or value:
            found.append((name, value))
    return [*found, *_quoted_cookies(line)] if b'"' in line else found


def _quoted_cookies(line: bytes) -> Iterator[Entry]:
    """The quoted values that are not what they look like, as applications read them: a semicolon does not end one."""
    end = 0
    for match in _QUOTED_VALUE.finditer(line):
        value = match[1]
        if b"\\" in value or b";" in value:
            name = line[line.rfind(b";", end, match.start()) + 1 or end : match.start()]
            yield name.strip(), _QUOTED_PAIR.sub(_unquoted, value)
        end = match.end()


def _unquoted(match: re.Match[bytes]) -> bytes:
    octal, char = match.groups()
    return char if octal is None else bytes((int(octal, 8),))
