"""The transformations of SecLang (``t:lowercase`` and its like), one table by lower-case name.

Each takes and returns bytes, takes time linear in its input, and returns the very object that it was given when
nothing changes, so that the engine can skip what follows with ``is``. Where the documents are silent they do what
ModSecurity 3 does, odd as some of it is: rules were written and tested against that.
"""

from __future__ import annotations

import hashlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from bsguard.seclang import transforms_base as base
from bsguard.seclang import transforms_escapes as escapes
from bsguard.seclang import transforms_paths as paths
from bsguard.seclang import transforms_text as text
from bsguard.seclang.transforms_unwrap import unwrap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _none(value: bytes) -> bytes:
    return value


def _length(value: bytes) -> bytes:
    return b"%d" % len(value)


def _md5(value: bytes) -> bytes:
    return hashlib.md5(value, usedforsecurity=False).digest()


def _sha1(value: bytes) -> bytes:
    return hashlib.sha1(value, usedforsecurity=False).digest()


#: ``t:none`` clears the chain when rules are read; as a function it leaves its input alone.
TRANSFORMS: Final[Mapping[str, Callable[[bytes], bytes]]] = MappingProxyType(
    {
        "base64decode": base.base64_decode,
        "base64decodeext": base.base64_decode_ext,
        "base64encode": base.base64_encode,
        "cmdline": text.cmd_line,
        "compresswhitespace": text.compress_whitespace,
        "cssdecode": escapes.css_decode,
        "escapeseqdecode": escapes.escape_seq_decode,
        "hexdecode": base.hex_decode,
        "hexencode": base.hex_encode,
        "htmlentitydecode": escapes.html_entity_decode,
        "jsdecode": escapes.js_decode,
        "length": _length,
        "lowercase": text.lowercase,
        "md5": _md5,
        "none": _none,
        "normalisepath": paths.normalise_path,
        "normalisepathwin": paths.normalise_path_win,
        "normalizepath": paths.normalise_path,
        "normalizepathwin": paths.normalise_path_win,
        "parityeven7bit": text.parity_even,
        "parityodd7bit": text.parity_odd,
        "parityzero7bit": text.parity_zero,
        "phpargsnames": paths.php_args_names,
        "removecomments": text.remove_comments,
        "removecommentschar": text.remove_comments_char,
        "removenulls": text.remove_nulls,
        "removewhitespace": text.remove_whitespace,
        "replacecomments": text.replace_comments,
        "replacenulls": text.replace_nulls,
        "sha1": _sha1,
        "sqlhexdecode": base.sql_hex_decode,
        "trim": text.trim,
        "trimleft": text.trim_left,
        "trimright": text.trim_right,
        "unwrap": unwrap,
        "uppercase": text.uppercase,
        "urldecode": escapes.url_decode,
        "urldecodeuni": escapes.url_decode_uni,
        "urlencode": escapes.url_encode,
        "utf8tounicode": escapes.utf8_to_unicode,
    }
)
