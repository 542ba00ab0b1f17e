"""Path patterns against a matcher that walks segments."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from bsguard.core.paths import PathPattern, under
from tests.property.support import joined, looks, native

literal = native(4).map(lambda text: text.translate(dict.fromkeys(map(ord, "/*{}"))))
segments = st.lists(literal | st.sampled_from(["*", "{id}", "{a_1}", "a", "b"]), min_size=1, max_size=4)
paths = st.lists(st.sampled_from(["a", "b", "", "*", "{id}", "**"]) | literal, max_size=6).map(
    lambda parts: "/" + "/".join(parts)
)


def fits(pattern: str, path: str) -> bool:
    below = pattern.endswith("/**")
    wanted = pattern.removesuffix("/**").split("/")[1:]
    given_segments = path.split("/")[1:]
    if not path.startswith("/") and path:
        return False
    if below and not wanted:
        return True
    if len(given_segments) < len(wanted) or (len(given_segments) > len(wanted) and not below):
        return False
    return all(
        bool(have) if want == "*" or want.startswith("{") else have == want
        for want, have in zip(wanted, given_segments, strict=False)
    )


@looks(100)
@given(segments, st.booleans(), paths, st.data())
def test_a_pattern_fits_what_its_segments_fit(parts: list[str], below: bool, path: str, data: st.DataObject) -> None:
    text = "/" + "/".join(parts) + ("/**" if below else "")
    pattern = PathPattern.parse(text)
    filled = "/" + "/".join(data.draw(literal) if part in ("*", "{id}", "{a_1}") else part for part in parts)

    for one in (path, filled, filled + "/x", filled + "/", text):
        assert pattern.matches(one) is fits(text, one), one


@looks(100)
@given(native(12) | joined("/", "*", "**", "{", "}", "a", "{id}", "/**"))
def test_any_text_is_a_pattern_or_an_error_of_value(text: str) -> None:
    with contextlib.suppress(ValueError):
        pattern = PathPattern.parse(text)
        assert text.startswith("/")
        assert pattern == PathPattern.parse(text)
        assert isinstance(pattern.matches(text), bool)


@looks(100)
@given(joined("/", "a", "v1", "é", max_size=5), joined("/", "a", "v1", "é", max_size=8))
def test_a_prefix_covers_itself_and_whole_segments_below(prefix: str, path: str) -> None:
    prefix = "/" + prefix
    plain = prefix.rstrip("/")

    assert under(prefix, prefix)
    if under(prefix, path):
        assert path == prefix or path[: len(plain)] + "/" == plain + path[len(plain)]
    assert under(prefix, plain + "/" + path) or prefix.endswith("/")
