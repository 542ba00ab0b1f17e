"""``@detectXSS``: does a value, put into a page, make a browser run script?

A value can stand in a page as text, or as an attribute's value, bare or within one of three quotes (the third is the
backtick of old Internet Explorers). From each of these places it is read as HTML is (WHATWG HTML §13.2.5, roughly): it
is an attack when it opens an element that runs or loads code, or gives an attribute that does.
"""

from __future__ import annotations

import re
from typing import Final

from bsguard.seclang.xss_names import ADDRESSES, ATTRIBUTES, ELEMENTS, EVENTS

#: A tag's name, or the mark of a comment, an end tag and their like. NUL bytes count as nothing in old browsers.
_TAG: Final = re.compile(rb"<\x00*+(?:(?P<name>[A-Za-z][^\s/><]*+)|(?P<mark>[!?/%]))")
_ATTRIBUTE: Final = re.compile(
    rb"[\s/\x00]*+(?P<name>[^\s/>][^\s/>=]*+)"
    rb"(?:[\s\x00]*+=[\s\x00]*+(?P<value>\"[^\"]*+\"?|'[^']*+'?|`[^`]*+`?|[^\s>]*+))?+"
)
_ATTRIBUTES: Final = re.compile(
    rb"(?:" + _ATTRIBUTE.pattern.replace(b"?P<name>", b"?:").replace(b"?P<value>", b"?:") + rb")*+"
)
_ASSIGNED: Final = re.compile(rb"(?<![\w:\-])([\w:\-]++)\s*+=")
_WATCHED: Final = ATTRIBUTES | ADDRESSES | {b"attributename"}
#: How a value leaves the attribute's value that it stands in.
_EXITS: Final = (
    re.compile(rb""),
    re.compile(rb"[^\s>]*+(?=\s)"),
    re.compile(rb"[^']*+'"),
    re.compile(rb'[^"]*+"'),
    re.compile(rb"[^`]*+`"),
)
_COMMENT_END: Final = re.compile(rb"--!?>")
#: What makes Internet Explorer read within a comment or a declaration, and declarations that no input may hold.
_READ_ON: Final = re.compile(rb"`|\A-*\s*(?:\[if|xml|import|entity|doctype)", re.IGNORECASE)
_ANY_EVENT: Final = re.compile(rb"on[a-z]{3,}")
_CODE_ADDRESS: Final = re.compile(rb"(?:(?:java|vb|live|j)script|data|view-source|mocha|behaviou?r):")

_QUOTES: Final = b"\"'`"
_NO_CHARACTERS: Final = bytes(range(0x21)) + bytes(range(0x7F, 0x100))
_ENTITY: Final = re.compile(rb"&#(?:[xX]0*+([0-9a-fA-F]{0,6})|0*+([0-9]{0,7}));?+|&(colon|tab|newline);", re.IGNORECASE)


_LESS_THAN: Final = ord("<")
_EQUALS: Final = ord("=")


def detect_xss(value: bytes) -> bool:
    """Whether *value* holds a tag, attribute or address that runs script. Linear in the length of *value*."""
    assigns = _EQUALS in value
    if not assigns and _LESS_THAN not in value:
        return False
    page = _Page(value, assigns and _names_attributes(value))
    if page.text_runs(0):
        return True
    if not assigns:
        return False
    for exit_ in _EXITS:
        match = exit_.match(value)
        if match and page.rest_of_tag_runs(match.end()):
            return True
    return False


def _names_attributes(value: bytes) -> bool:
    """Whether any attribute that could run code is given a value, wherever it stands."""
    for name in _ASSIGNED.findall(value.replace(b"\0", b"").lower()):
        if name in _WATCHED or name.startswith((b"on", b"xmlns")):
            return True
    return False


class _Page:
    """A value read as HTML from several places. No tag is read twice as text, so that all of them stay linear."""

    def __init__(self, value: bytes, watches: bool) -> None:
        self._value = value
        self._watches = watches
        self._read: set[int] = set()

    def text_runs(self, position: int) -> bool:
        """Whether reading on as text comes to code."""
        value = self._value
        while tag := _TAG.search(value, position):
            if tag.start() in self._read:
                return False  # from here on it has been read, and nothing was found
            self._read.add(tag.start())
            name = tag["name"]
            if name is None:
                position = _markup_end(value, tag.end(), tag["mark"])
            elif _is_element(name):
                return True
            else:
                position = self._tag_end(tag.end(), _ANY_EVENT)
            if position < 0:
                return True
        return False

    def rest_of_tag_runs(self, position: int) -> bool:
        """Whether reading on within a tag comes to code."""
        end = self._tag_end(position, EVENTS)
        return end < 0 or self.text_runs(end)

    def _tag_end(self, position: int, events: re.Pattern[bytes]) -> int:
        """Where the tag ends; -1 if one of its attributes runs code."""
        value = self._value
        if self._watches:
            while attribute := _ATTRIBUTE.match(value, position):
                position = attribute.end()
                if attribute["value"] and _attribute_runs(attribute["name"], attribute["value"], events):
                    return -1
        else:
            rest = _ATTRIBUTES.match(value, position)
            position = rest.end() if rest else position
        end = value.find(b">", position)
        return end + 1 if end >= 0 else len(value)


def _is_element(name: bytes) -> bool:
    name = name.replace(b"\0", b"").lower()
    return name in ELEMENTS or name.startswith((b"svg", b"xsl"))


def _markup_end(value: bytes, position: int, mark: bytes) -> int:
    """Where a comment, declaration or end tag ends; -1 if browsers read on within."""
    if mark == b"!" and value.startswith(b"--", position):
        closed = _COMMENT_END.search(value, position)
        end, behind = (closed.start(), closed.end()) if closed else (len(value), len(value))
    else:
        end = value.find(b">", position)
        behind = end + 1 if end >= 0 else len(value)
        end = end if end >= 0 else len(value)
    return -1 if mark != b"/" and _READ_ON.search(value[position:end]) else behind


def _attribute_runs(name: bytes, value: bytes, events: re.Pattern[bytes]) -> bool:
    name = name.replace(b"\0", b"").lower()
    value = value.strip(_QUOTES)
    if not value:
        return False
    if name in ATTRIBUTES or name.startswith(b"xmlns") or events.fullmatch(name):
        return True
    if name == b"attributename":
        return bool(_ANY_EVENT.match(value.lower()))
    return name in ADDRESSES and bool(_CODE_ADDRESS.match(_address(value)))


def _address(value: bytes) -> bytes:
    """An address as a browser reads it: entities decoded, white space and control characters left out."""
    return _ENTITY.sub(_character, value).translate(None, _NO_CHARACTERS).lower()


def _character(match: re.Match[bytes]) -> bytes:
    hexadecimal, decimal, name = match.groups()
    if name is not None:
        return b":" if name.lower() == b"colon" else b""
    code = int(hexadecimal or b"0", 16) if hexadecimal is not None else int(decimal or b"0")
    return bytes((code,)) if code < 0x80 else b""
