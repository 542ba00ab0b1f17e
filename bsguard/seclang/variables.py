"""The variables of SecLang that the engine fills, and how a target list such as ``ARGS|!ARGS:a|&TX:b`` is read."""

from __future__ import annotations

import re
from typing import Final

from bsguard.core.config import nearest
from bsguard.seclang.errors import Mistake
from bsguard.seclang.model import Variable

#: Variables with one value and no key.
SCALARS: Final = frozenset(
    """
    ARGS_COMBINED_SIZE FILES_COMBINED_SIZE FULL_REQUEST FULL_REQUEST_LENGTH MATCHED_VAR MATCHED_VAR_NAME
    MULTIPART_BOUNDARY_QUOTED MULTIPART_BOUNDARY_WHITESPACE MULTIPART_CRLF_LF_LINES MULTIPART_DATA_AFTER
    MULTIPART_DATA_BEFORE MULTIPART_FILE_LIMIT_EXCEEDED MULTIPART_HEADER_FOLDING MULTIPART_INVALID_HEADER_FOLDING
    MULTIPART_INVALID_PART MULTIPART_INVALID_QUOTING MULTIPART_LF_LINE MULTIPART_MISSING_SEMICOLON
    MULTIPART_STRICT_ERROR MULTIPART_UNMATCHED_BOUNDARY QUERY_STRING REMOTE_ADDR REQBODY_ERROR REQBODY_ERROR_MSG
    REQBODY_PROCESSOR REQBODY_PROCESSOR_ERROR REQBODY_PROCESSOR_ERROR_MSG REQUEST_BASENAME REQUEST_BODY
    REQUEST_BODY_LENGTH REQUEST_BODY_PLAIN REQUEST_FILENAME REQUEST_LINE REQUEST_METHOD REQUEST_PROTOCOL REQUEST_URI
    REQUEST_URI_RAW
    RESPONSE_BODY RESPONSE_CONTENT_LENGTH RESPONSE_CONTENT_TYPE RESPONSE_PROTOCOL RESPONSE_STATUS STATUS_LINE TIME
    TIME_DAY TIME_EPOCH TIME_HOUR TIME_MIN TIME_MON TIME_SEC TIME_WDAY TIME_YEAR UNIQUE_ID URLENCODED_ERROR
    """.split()  # noqa: SIM905  words read better than a column of quotes
)
#: Variables with keys.
COLLECTIONS: Final = frozenset(
    """
    ARGS ARGS_GET ARGS_GET_NAMES ARGS_NAMES ARGS_POST ARGS_POST_NAMES FILES FILES_NAMES FILES_SIZES GLOBAL IP
    MATCHED_VARS MATCHED_VARS_NAMES MULTIPART_FILENAME MULTIPART_NAME MULTIPART_PART_HEADERS REQUEST_COOKIES
    REQUEST_COOKIES_NAMES REQUEST_HEADERS REQUEST_HEADERS_NAMES RESOURCE RESPONSE_HEADERS RESPONSE_HEADERS_NAMES
    SESSION TX USER XML
    """.split()  # noqa: SIM905
)
#: Variables of SecLang that only a web server can fill: they can be named, and are always empty.
EMPTY: Final = frozenset(
    """
    AUTH_TYPE DURATION ENV FILES_TMPNAMES FILES_TMP_CONTENT GEO INBOUND_DATA_ERROR OUTBOUND_DATA_ERROR PATH_INFO
    REMOTE_HOST REMOTE_PORT REMOTE_USER RULE SERVER_ADDR SERVER_NAME SERVER_PORT SESSIONID USERID WEBAPPID
    """.split()  # noqa: SIM905
)
#: Every name that may be written.
NAMES: Final = SCALARS | COLLECTIONS | EMPTY
#: Collections that rules write to. All but TX are kept between requests elsewhere; here they last for one.
WRITABLE: Final = frozenset({"TX", "GLOBAL", "IP", "SESSION", "USER", "RESOURCE"})
#: The two XPath expressions that CRS uses, and one for each text by itself; a whole XPath engine would be a second
#: language to get wrong.
XPATHS: Final = frozenset({"/*", "//@*", "//text()"})

_ONE: Final = re.compile(r"\s*([!&]?)\s*(\w+)")


def read_variables(text: str) -> tuple[Variable, ...]:
    """Read a target list. Raises :class:`Mistake` with the offset of the part that is wrong."""
    found: list[Variable] = []
    at = 0
    while at <= len(text):
        variable, at = _one(text, at)
        found.append(variable)
    if all(variable.excluded for variable in found):
        raise Mistake("the target list only takes away; name what is to be looked at, such as ARGS|!ARGS:a")
    return tuple(found)


def read_updates(text: str) -> tuple[Variable, ...]:
    """Read the targets of SecRuleUpdateTarget…, which may only take away."""
    found: list[Variable] = []
    at = 0
    text = text.replace(",", "|")
    while at <= len(text):
        variable, at = _one(text, at)
        found.append(variable)
    return tuple(found)


def _one(text: str, at: int) -> tuple[Variable, int]:
    """Read the part that begins at *at*; returns it and where the next one begins (past the end if none)."""
    match = _ONE.match(text, at)
    if match is None:
        raise Mistake("a variable such as ARGS is expected here", at)
    mark, name = match[1], match[2].upper()
    if name not in NAMES:
        close = nearest(name, NAMES)
        raise Mistake(f"there is no variable {name}" + (f"; did you mean {close}?" if close else ""), match.start(2))
    key, is_pattern, end = _key(text, match.end(), xpath=name == "XML")
    if key is not None and name in SCALARS:
        raise Mistake(f"{name} has one value and takes no key", match.end())
    if name == "XML" and key not in XPATHS:
        raise Mistake(
            "of XML only /* (all text), //text() (each text) and //@* (all attributes) can be looked at", match.end()
        )
    return Variable(name, key, is_pattern, counted=mark == "&", excluded=mark == "!"), end


def _key(text: str, at: int, *, xpath: bool) -> tuple[str | None, bool, int]:
    """Read ``:key`` or ``:/pattern/``, if it is there, up to the separator after it."""
    if at == len(text) or text[at] == "|":
        return None, False, at + 1
    if text[at] != ":":
        raise Mistake("| or the end of the list is expected after a variable", at)
    at += 1
    if xpath:  # its slashes open no pattern
        end = text.find("|", at)
        end = len(text) if end < 0 else end
        return text[at:end].strip(), False, end + 1
    quoted = text.startswith("'/", at)
    if quoted or text.startswith("/", at):
        return _pattern(text, at + quoted, "/'" if quoted else "/")
    quoted = text.startswith("'", at)
    end = text.find("'" if quoted else "|", at + quoted)
    if end < 0:
        end = len(text)
    key = text[at + quoted : end].strip()
    end += quoted
    if not key:
        raise Mistake("a key is expected after the colon", at)
    return key, False, end + 1


def _pattern(text: str, at: int, closing: str) -> tuple[str, bool, int]:
    end = at + 1
    while end < len(text):
        if text[end] == "\\":
            end += 2
            continue
        if text.startswith(closing, end):
            after = end + len(closing)
            if after < len(text) and text[after] != "|":
                raise Mistake("| or the end of the list is expected after a pattern", after)
            return text[at + 1 : end].replace("\\/", "/"), True, after + 1
        end += 1
    raise Mistake("the pattern opened here is never closed with /", at)
