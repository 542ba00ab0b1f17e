"""``@scriptInjection``, an operator of our own: what ``@detectXSS`` finds, in the parts of a value too."""

from __future__ import annotations

import re
from typing import Final

from bsguard.seclang.patterns import compile_pattern
from bsguard.seclang.places import places
from bsguard.seclang.xss import detect_xss
from bsguard.seclang.xss_names import ADDRESSES, ATTRIBUTES

#: What a value holds that runs script in a page, one at least: a tag or its like, or an attribute with a value.
_NAMES: Final = b"|".join(sorted(ATTRIBUTES | ADDRESSES | {b"attributename"})).decode()
SIGNS: Final = (r"<[\x00a-z!?/%]", r"\b(?:on[\w:\x00-]*|xmlns[\w:-]*|" + _NAMES + r")\s*=")
_SIGN: Final = compile_pattern("(?i)" + "|".join(SIGNS))
#: What an XML document begins with, which detectors of script take for a trick of old browsers.
_DECLARATION: Final = re.compile(rb"\s*+<\?(?:(?:xml|xpacket)\s[^<>]*+|xml-stylesheet\s[^<>:]*+)>")
#: In such a document, declarations of namespaces none of whose elements runs anything, and SVG's own without a prefix:
#: then a script in it is called ``script``.
_NAMESPACE: Final = re.compile(
    rb"\sxmlns(?::[\w.-]++\s*+=\s*+(?P<quote>[\"'])(?:adobe:|https?://(?:ns\.adobe\.com/|purl\.org/|creativecommons\.org/"
    rb"|(?:www\.)?(?:inkscape|sodipodi)\.org/|sodipodi\.sourceforge\.net/|www\.w3\.org/(?:1999/xlink|1999/02/22-rdf"
    rb"|2001/XMLSchema|2005/Atom)|schemas\.xmlsoap\.org/|www\.sitemaps\.org/))[\w:/.#-]*+(?P=quote)"
    rb"|\s*+=\s*+[\"']http://www\.w3\.org/2000/svg[\"'])"
)
#: A drawing, which is a group of shapes once it is a whole document: its attributes and what is within are looked at.
_DRAWING: Final = re.compile(rb"<svg(?=[\s>])")


def find_script_injection(value: bytes) -> bool:
    """Whether *value* runs script where a page shows it. Linear in its length."""
    if _SIGN.search(value) is None:
        return False
    return any(detect_xss(_without_declarations(place)) for place in places(value))


def _without_declarations(value: bytes) -> bytes:
    """*value*, or if it is an XML document, this without what only says so."""
    declaration = _DECLARATION.match(value)
    if declaration is None:
        return value
    return _DRAWING.sub(b"<g", _NAMESPACE.sub(b"", value[declaration.end() :]))
