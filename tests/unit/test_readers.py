"""What an operator may write for each kind of setting, and what is asked for instead of anything else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bsguard.core import readers
from bsguard.core.config import Wanted
from bsguard.core.networks import Networks
from bsguard.core.paths import PathPattern
from bsguard.core.surfaces import Surface, Surfaces
from tests.unit.support import table

if TYPE_CHECKING:
    from collections.abc import Callable

    Reader = Callable[[object], Any]

number = readers.whole(1, 1000)
word = readers.one_of("enforce", "monitor")
names = readers.many(readers.header_name, "a list of header names")
texts = readers.many(readers.text, "a list of texts")
modes = readers.modes_by_rule(["a.one", "a.two"])
kinds = readers.by_path(texts)

READ: dict[str, tuple[Reader, object, object]] = {
    "a flag": (readers.flag, False, False),
    "a flag as text": (readers.flag, "Yes", True),
    "a flag as a number": (readers.flag, 1, True),
    "a flag as no number": (readers.flag, 0, False),
    "a flag as a digit": (readers.flag, "0", False),
    "a flag as off": (readers.flag, "OFF", False),
    "a number": (number, 17, 17),
    "a number as text": (number, "1000", 1000),
    "the smallest number": (number, 1, 1),
    "text": (readers.text, "", ""),
    "one of the words": (word, "monitor", "monitor"),
    "a header name": (readers.header_name, "X-Request-Id", "X-Request-Id"),
    "a folder as text": (readers.folder, "/var/lib/guard", Path("/var/lib/guard")),
    "a folder as a path": (readers.folder, Path("here"), Path("here")),
    "no folder": (readers.folder, None, None),
    "a list": (names, ["A", "B"], ("A", "B")),
    "a list as text": (names, "A, B ,, C", ("A", "B", "C")),
    "a tuple": (names, ("A",), ("A",)),
    "a set": (names, {"A"}, ("A",)),
    "a frozen set": (names, frozenset({"A"}), ("A",)),
    "an empty list": (names, [], ()),
    "an empty text": (names, " , ", ()),
    "a secret": (readers.secret_key, "x" * 16, "x" * 16),
    "an origin": (readers.origin, "https://app.example.com:8443", "https://app.example.com:8443"),
    "any origin": (readers.origin, "*", "*"),
    "networks": (readers.networks, ["10.0.0.0/8", "::1"], Networks.parse(["10.0.0.0/8", "::1"])),
    "networks as text": (readers.networks, "10.0.0.0/8,unix", Networks.parse(["10.0.0.0/8", "unix"])),
    "a path pattern": (readers.path_pattern, "/v1/{id}", PathPattern.parse("/v1/{id}")),
    "texts by path": (kinds, {"/a": "x,y"}, ((PathPattern.parse("/a"), ("x", "y")),)),
    "modes by rule": (modes, {"a.one": "off"}, (("a.one", "off"),)),
    "no modes": (modes, {}, ()),
    "surfaces": (
        readers.surfaces,
        [{"name": "api", "kind": "api", "hosts": "API.test., *.b.test", "prefixes": ["/v1/", "/"]}, {"name": "rest"}],
        Surfaces([Surface("api", "api", ("api.test", "*.b.test"), ("/v1", "/")), Surface("rest")]),
    ),
    "surfaces as they are": (readers.surfaces, Surfaces([Surface("a")]), Surfaces([Surface("a")])),
    "surfaces as objects": (readers.surfaces, [Surface("a")], Surfaces([Surface("a")])),
    "an address as a surface's host": (
        readers.surfaces,
        [{"name": "six", "hosts": ["[::1]"]}],
        Surfaces([Surface("six", hosts=("[::1]",))]),
    ),
    "no surfaces": (readers.surfaces, [], Surfaces(())),
}

HOSTS_WANTED = (
    'a list of surfaces (item 1: wanted host names such as "api.example.com" or "*.example.com", '
    "in ASCII and without port)"
)
REFUSED: dict[str, tuple[Reader, object, str]] = {
    "a flag as a larger number": (readers.flag, 2, "True or False"),
    "a flag as a fraction": (readers.flag, 1.0, "True or False"),
    "a flag as another word": (readers.flag, "truely", "True or False"),
    "no flag": (readers.flag, None, "True or False"),
    "a number too small": (number, 0, "a whole number from 1 to 1,000"),
    "a number too large": (number, 1001, "a whole number from 1 to 1,000"),
    "a fraction": (number, 1.0, "a whole number from 1 to 1,000"),
    "a flag for a number": (number, True, "a whole number from 1 to 1,000"),
    "a signed number as text": (number, "+1", "a whole number from 1 to 1,000"),
    "a number with space": (number, " 1", "a whole number from 1 to 1,000"),
    "digits of another script": (number, "١", "a whole number from 1 to 1,000"),
    "a superscript": (number, "²", "a whole number from 1 to 1,000"),
    "a number of many digits": (number, "1" * 5000, "a whole number from 1 to 1,000"),
    "bytes for text": (readers.text, b"x", "text"),
    "another word": (word, "off", 'one of "enforce", "monitor"'),
    "a list for a word": (word, ["monitor"], 'one of "enforce", "monitor"'),
    "a header name with a space": (readers.header_name, "X Y", "the name of a header"),
    "a header name with a line end": (readers.header_name, "X\n", "the name of a header"),
    "an empty header name": (readers.header_name, "", "the name of a header"),
    "an empty folder": (readers.folder, "", "a path"),
    "a number for a folder": (readers.folder, 3, "a path"),
    "a number for a list": (names, 3, "a list of header names"),
    "a mapping for a list": (names, {"A": 1}, "a list of header names"),
    "bytes for a list": (names, b"A", "a list of header names"),
    "a bad item": (names, ["A", "B:"], "a list of header names (item 2: wanted the name of a header)"),
    "a short secret": (readers.secret_key, "x" * 15, "a secret of at least 16 printable characters"),
    "a secret of control characters": (
        readers.secret_key,
        "x" * 16 + "\n",
        "a secret of at least 16 printable characters",
    ),
    "a secret that is no Unicode text": (
        readers.secret_key,
        "\udcff" * 16,
        "a secret of at least 16 printable characters",
    ),
    "a folder with a NUL in its name": (readers.folder, "a\0b", "a path"),
    "a secret as bytes": (readers.secret_key, b"x" * 32, "a secret of at least 16 printable characters"),
    "an origin with a path": (readers.origin, "https://a.test/", 'an origin such as "https://app.example.com", or "*"'),
    "an origin without a scheme": (readers.origin, "a.test", 'an origin such as "https://app.example.com", or "*"'),
    "an origin of a pattern": (readers.origin, "https://*.a", 'an origin such as "https://app.example.com", or "*"'),
    "an origin of a file": (readers.origin, "file://x", 'an origin such as "https://app.example.com", or "*"'),
    "the null origin": (readers.origin, "null", 'an origin such as "https://app.example.com", or "*"'),
    "a number for networks": (readers.networks, 10, "a list of networks"),
    "numbers for networks": (readers.networks, [10], "a list of networks, each as text"),
    "host bits": (
        readers.networks,
        ["::1", "10.0.0.1/8"],
        "a list of networks (item 2 is not a network such as 10.0.0.0/8 (no host bits set))",
    ),
    "a number for a pattern": (readers.path_pattern, 1, "a path pattern such as /v1/files/{id}"),
    "a pattern without a slash": (
        readers.path_pattern,
        "v1",
        'a path pattern such as /v1/files/{id} (a path pattern starts with "/")',
    ),
    "a list by path": (kinds, ["/a"], "a mapping from path patterns"),
    "a number by path": (kinds, {1: "x"}, "a path pattern such as /v1/files/{id}"),
    "a list of modes": (modes, ["a.one"], "a mapping from rule ids to modes"),
    "a mode of a rule that is near": (modes, {"a.ones": "off"}, "rule ids of this layer (did you mean a.one?)"),
    "a mode of a rule that is far": (modes, {7: "off"}, "rule ids of this layer (see docs/reference/rules.md)"),
    "no such mode": (modes, {"a.one": "on"}, 'one of "enforce", "monitor", "off"'),
    "text for surfaces": (readers.surfaces, "api", "a list of surfaces"),
    "a mapping for surfaces": (readers.surfaces, {"name": "api"}, "a list of surfaces"),
    "a number for surfaces": (readers.surfaces, 3, "a list of surfaces"),
    "a surface without a name": (
        readers.surfaces,
        [{"kind": "api"}],
        'a list of surfaces (item 1: wanted a mapping with "name", and perhaps "kind", "hosts", "prefixes")',
    ),
    "a surface with another key": (
        readers.surfaces,
        [{"name": "a", "host": "a.test"}],
        'a list of surfaces (item 1: wanted only "name", "kind", "hosts", "prefixes" (found 1 other))',
    ),
    "a surface of another kind": (
        readers.surfaces,
        [{"name": "a", "kind": "html"}],
        'a list of surfaces (item 1: wanted one of "api", "web")',
    ),
    "a surface without prefixes": (
        readers.surfaces,
        [{"name": "a", "prefixes": []}],
        'a list of surfaces (item 1: wanted path prefixes such as "/v1", decoded and without wildcards)',
    ),
    "a prefix without a slash": (
        readers.surfaces,
        [{"name": "a"}, {"name": "b", "prefixes": ["v1"]}],
        'a list of surfaces (item 2: wanted path prefixes such as "/v1", decoded and without wildcards)',
    ),
    "a host with a port": (
        readers.surfaces,
        [{"name": "a", "hosts": ["a.test:80"]}],
        HOSTS_WANTED,
    ),
    "a host as a URL": (
        readers.surfaces,
        [{"name": "a", "hosts": ["https://a.test"]}],
        HOSTS_WANTED,
    ),
    "an empty host": (
        readers.surfaces,
        [{"name": "a", "hosts": [""]}],
        HOSTS_WANTED,
    ),
    "two surfaces of one name": (readers.surfaces, [{"name": "a"}, {"name": "a"}], "surfaces with different names"),
}


@pytest.mark.parametrize(("read", "value", "expected"), table(36, READ))
def test_what_an_operator_may_write(read: Reader, value: object, expected: object) -> None:
    found = read(value)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("read", "value", "wanted"), table(58, REFUSED))
def test_what_is_asked_for_instead(read: Reader, value: object, wanted: str) -> None:
    with pytest.raises(Wanted) as caught:
        read(value)

    assert str(caught.value) == wanted
