"""Our transformations against libmodsecurity's, byte for byte, on values made of what means something to them."""

from __future__ import annotations

import random

from bsguard.seclang.transforms import TRANSFORMS
from tests.seclang.reference import Reader
from tests.seclang.test_transforms_property import PIECES

NAMES = (
    *("lowercase", "uppercase", "urlDecode", "urlDecodeUni", "urlEncode", "htmlEntityDecode", "jsDecode", "cssDecode"),
    *("cmdLine", "normalisePath", "normalizePath", "removeWhitespace", "compressWhitespace", "removeNulls"),
    *("replaceNulls", "replaceComments", "removeComments", "removeCommentsChar", "utf8toUnicode", "base64Decode"),
    *("base64DecodeExt", "base64Encode", "hexDecode", "hexEncode", "sqlHexDecode", "escapeSeqDecode", "length", "md5"),
    *("sha1", "trim", "trimLeft", "trimRight", "parityEven7bit", "parityOdd7bit", "parityZero7bit"),
)
#: Not in it: ``phpArgsNames``, which that version has not got, and ``normalisePathWin``, which there leaves the last
#: backslash of a run of slashes as it is, so that ``//\`` hides a slash from the rules. ``unwrap`` is our own.
NOT_COMPARED = {"none", "unwrap", "phpargsnames", "normalisepathwin", "normalizepathwin"}


def test_transformations_agree() -> None:
    reader = Reader({name: ("ARGS:x", (name,)) for name in NAMES})
    chance = random.Random(20)
    differing: set[tuple[str, bytes]] = set()
    for _ in range(400):
        value = b"".join(chance.choices(PIECES, k=chance.randrange(1, 9)))
        body = b"x=" + b"".join(b"%%%02x" % byte for byte in value)
        found = reader.read(body, "application/x-www-form-urlencoded")
        assert set(found) == set(NAMES)
        differing.update((name, value) for name in NAMES if TRANSFORMS[name.lower()](value) != found[name][0][1])

    assert differing == set()


def test_all_are_compared_but_those_that_cannot_be() -> None:
    assert {name.lower() for name in NAMES} == set(TRANSFORMS) - NOT_COMPARED
