"""Settings of the protocol layer. Every limit has its reason beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from bsguard.core import readers
from bsguard.core.config import Wanted, setting
from bsguard.core.grammar import MEDIA_TYPE
from bsguard.core.layer import LayerConfig
from bsguard.protocol.rules import RULES

if TYPE_CHECKING:
    from bsguard.core.paths import PathPattern
    from bsguard.core.settings import Mode

#: Path forms that are refused because readers differ in what they mean; an application may need one of them.
PathForm = Literal["double-slash", "encoded-slash", "double-escape"]
PATH_FORMS: Final[tuple[PathForm, ...]] = ("double-slash", "encoded-slash", "double-escape")


def _methods(value: object) -> tuple[str, ...]:
    methods = readers.many(readers.method, "a list of methods")(value)
    if not methods:
        raise Wanted("one method at least")
    return methods


def _media_type(value: object) -> str:
    word = _word(value)
    if word != "*/*" and not MEDIA_TYPE.fullmatch(word):
        raise Wanted("a media type such as text/csv, or */*")
    return word


def _word(value: object) -> str:
    return readers.text(value).strip().lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolConfig(LayerConfig):
    """Settings of the protocol layer, ``BSGUARD_PROTOCOL_<NAME>``."""

    rule_modes: tuple[tuple[str, Mode], ...] = setting(
        (), 'Modes of single rules, such as `{"protocol.upgrade": "monitor"}`.', readers.modes_by_rule(RULES)
    )
    https: bool = setting(
        True, "Refuse requests that did not come over HTTPS. A caller on this machine is exempt.", readers.flag
    )
    https_paths_exempt: tuple[PathPattern, ...] = setting(
        (),
        "Paths that may be called over plain HTTP, such as a load balancer's health check.",
        readers.many(readers.path_pattern, "a list of path patterns"),
    )
    methods: tuple[str, ...] = setting(
        ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
        "Methods that are allowed at all; exact and case-sensitive.",
        _methods,
    )
    body_methods: tuple[str, ...] = setting(
        ("POST", "PUT", "PATCH"),
        "Methods that may carry a body.",
        readers.many(readers.method, "a list of methods"),
    )
    content_types: tuple[tuple[PathPattern, tuple[str, ...]], ...] = setting(
        (),
        'On api surfaces, media types allowed besides JSON, by path: `{"/v1/files": ["multipart/form-data"]}`; '
        "`*/*` allows any.",
        readers.by_path(readers.many(_media_type, "a list of media types")),
    )
    content_encodings: tuple[str, ...] = setting(
        (),
        "Content codings of request bodies that the application decodes itself, such as `gzip`. "
        "A coded body cannot be judged.",
        readers.many(_word, "a list of content codings"),
    )
    method_override: bool = setting(
        False, "Let headers such as X-HTTP-Method-Override through to the application.", readers.flag
    )
    upgrades: tuple[str, ...] = setting(
        (),
        "Protocols that a client may ask to upgrade to, such as `websocket`.",
        readers.many(_word, "a list of protocol names"),
    )
    path_forms: tuple[PathForm, ...] = setting(
        (),
        "Ambiguous path forms that the application needs: `double-slash`, `encoded-slash`, `double-escape`.",
        readers.many(readers.one_of(*PATH_FORMS), "a list of path forms"),
    )
    # gunicorn takes 4,094 bytes of request line by default, nginx and Apache about 8 KiB.
    target_bytes_max: int = setting(
        8192, "Longest request target (path and query) in bytes.", readers.whole(64, 1_048_576)
    )
    # gunicorn and http.client count 100 header lines, nginx sets no count.
    headers_count_max: int = setting(100, "Most header lines.", readers.whole(8, 10_000))
    # nginx takes 4 buffers of 8 KiB; Node and Tomcat 8 to 16 KiB in all.
    headers_bytes_max: int = setting(
        65_536, "Total size of all header names and values in bytes.", readers.whole(1024, 16_777_216)
    )
    # Room for the largest bearer tokens in use (JWTs with groups); more is a flood or a mistake.
    authorization_bytes_max: int = setting(8192, "Longest Authorization header in bytes.", readers.whole(64, 1_048_576))
    # Deeper JSON serves no API and exhausts parsers' stacks; 64 is what validators behind are proven safe for.
    json_depth_max: int = setting(64, "Deepest nesting of a JSON body.", readers.whole(1, 100))
