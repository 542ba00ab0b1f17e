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


def find_script_injection(value: bytes) -> bool:
    """Whether *value* runs script where a page shows it. Linear in its length."""
    if _SIGN.search(value) is None:
        return False
    return any(detect_xss(_DECLARATION.sub(b"", place, count=1)) for place in places(value))
