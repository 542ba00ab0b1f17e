"""Path patterns as settings write them."""

from __future__ import annotations

import pytest

from bsguard.core.paths import PathPattern, under
from tests.unit.support import table

PATTERNS: dict[str, tuple[str, list[str], list[str]]] = {
    "a plain path": ("/v1/files", ["/v1/files"], ["/v1/files/", "/v1/files/1", "/V1/files", "/v1/file", "v1/files"]),
    "a named segment": ("/v1/{id}", ["/v1/7", "/v1/a b", "/v1/é", "/v1/{id}"], ["/v1", "/v1/", "/v1/7/", "/v1/7/8"]),
    "any segment": ("/v1/*/parts", ["/v1/7/parts"], ["/v1//parts", "/v1/7/8/parts", "/v1/parts"]),
    "everything below": ("/up/**", ["/up", "/up/", "/up/a", "/up/a/b\n"], ["/upper", "/u", "/x/up"]),
    "everything": ("/**", ["", "/", "/a", "/a/b"], ["a"]),
    "the root": ("/", ["/"], ["", "//", "/a"]),
    "a final slash": ("/v1/", ["/v1/"], ["/v1"]),
    "signs of patterns taken plainly": ("/a.b(c)+[d]$", ["/a.b(c)+[d]$"], ["/aXb(c)+[d]$", "/a.bc"]),
    "a segment with a line end": ("/v1/{id}", ["/v1/a\nb"], ["/v1/a\n/"]),
    "a name within a deeper one": ("/a/{x}/**", ["/a/1", "/a/1/2/3"], ["/a", "/a/"]),
}


@pytest.mark.parametrize(("text", "fits", "differs"), table(10, PATTERNS))
def test_a_pattern_fits_exactly(text: str, fits: list[str], differs: list[str]) -> None:
    pattern = PathPattern.parse(text)

    assert [path for path in fits if not pattern.matches(path)] == []
    assert [path for path in differs if pattern.matches(path)] == []


@pytest.mark.parametrize(
    "text", ["", "v1", "*", "/v*", "/a/**/b", "/{id", "/id}", "/{1d}", "/{}", "/a{id}", "/{i-d}", "/***", "/**/**"]
)
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a path pattern starts with|stand for a whole segment"):
        PathPattern.parse(text)


def test_patterns_are_told_by_their_text() -> None:
    assert PathPattern.parse("/a") == PathPattern.parse("/a")
    assert PathPattern.parse("/{a}") != PathPattern.parse("/*")
    assert repr(PathPattern.parse("/a")) == "PathPattern(text='/a')"


UNDER: dict[str, tuple[str, str, bool]] = {
    "itself": ("/v1", "/v1", True),
    "below": ("/v1", "/v1/x", True),
    "with a slash": ("/v1", "/v1/", True),
    "a longer word": ("/v1", "/v10", False),
    "above": ("/v1/x", "/v1", False),
    "the root": ("/", "/anything", True),
    "the root itself": ("/", "/", True),
    "a prefix with a slash": ("/v1/", "/v1/x", True),
    "a prefix with a slash, without it": ("/v1/", "/v1", False),
    "nothing": ("/v1", "", False),
}


@pytest.mark.parametrize(("prefix", "path", "covered"), table(10, UNDER))
def test_a_prefix_covers_whole_segments(prefix: str, path: str, covered: bool) -> None:
    assert under(prefix, path) is covered
