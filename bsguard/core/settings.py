"""The global settings: what all layers of one guard share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from bsguard.core import readers
from bsguard.core.config import setting
from bsguard.core.exemptions import Exemption
from bsguard.core.networks import NO_NETWORKS, Networks
from bsguard.core.store_url import StoreURL, store_url
from bsguard.core.surfaces import Surfaces

if TYPE_CHECKING:
    from bsguard.core.paths import PathPattern

Mode = Literal["enforce", "monitor", "off"]

#: Where state is kept when no folder is named.
DEFAULT_STATE_DIR: Final = Path(".bsguard")

_MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Global settings, ``BSGUARD_<NAME>`` in the Flask config, ``<NAME>`` in a mapping for :func:`bsguard.guard`."""

    enabled: bool = setting(True, "False leaves the application as it is, for example in its own tests.", readers.flag)
    mode: Mode = setting(
        "monitor",
        "`enforce` refuses, `monitor` only reports what it would refuse, `off` does nothing.",
        readers.one_of("enforce", "monitor", "off"),
    )
    layers: tuple[str, ...] | None = setting(
        None,
        "Which layers to use, in their standard order; all by default.",
        readers.many(readers.text, "a list of layer names"),
    )
    state_dir: Path | None = setting(
        None,
        "Private folder for databases and caches, shared by all workers. "
        "Default: `bsguard` in Flask's instance folder, or `.bsguard` in the working directory.",
        readers.folder,
    )
    store: StoreURL = setting(
        StoreURL("local"),
        "Where counters and bans are kept: `local` (shared by the workers of this machine), `sqlite` or "
        "`sqlite:///PATH`, `redis://…`, `rediss://…` or `valkey://…` (shared by several machines), `memory` (this "
        "process alone).",
        store_url,
        secret=True,
    )
    store_prefix: str = setting(
        "bsguard",
        "What the keys in a Redis or Valkey store begin with; applications that share one need different prefixes.",
        readers.store_prefix,
    )
    secret_keys: tuple[str, ...] = setting(
        (),
        "Secrets, newest first; each use derives its own key. Default: one made and kept in the state directory.",
        readers.many(readers.secret_key, "a list of secrets"),
        secret=True,
    )
    trusted_proxies: Networks = setting(
        NO_NETWORKS,
        "Networks of the proxies in front, such as `10.0.0.0/8`; `unix` for a proxy on a Unix socket. "
        "Only they are believed about client address, HTTPS and request id.",
        readers.networks,
    )
    region: str = setting("", "Name of the region that this deployment serves; stands in events.", readers.text)
    body_bytes_max: int = setting(
        16 * _MEBIBYTE,
        "Hard maximum of a request body in bytes, whatever its type.",
        readers.whole(1024, 1024 * 1024 * _MEBIBYTE),
    )
    inspect_bytes_max: int = setting(
        131_072,
        "How many bytes of a body (uploaded files not counted) the layers read to judge it; more is refused, "
        "or passed on unjudged when monitoring.",
        readers.whole(1024, 64 * _MEBIBYTE),
    )
    streaming_paths: tuple[PathPattern, ...] = setting(
        (),
        "Paths whose bodies are never read before the application, so that it can stream them; nothing judges them.",
        readers.many(readers.path_pattern, "a list of path patterns"),
    )
    file_paths: tuple[PathPattern, ...] = setting(
        (),
        "Paths to which files are sent as the whole body: there the rules do not look into an image, audio, video, "
        "font or octet stream, as they do not look into the files of multipart.",
        readers.many(readers.path_pattern, "a list of path patterns"),
    )
    request_id_header: str = setting(
        "X-Request-Id",
        "Response header that carries the request id, and request header in which a trusted proxy may hand one in.",
        readers.id_header,
    )
    strip_headers: tuple[str, ...] = setting(
        ("X-Account-Id",),
        "Request headers that would set an identity; removed in every spelling before the application.",
        readers.many(readers.stripped_header, "a list of header names"),
    )
    surfaces: Surfaces = setting(
        Surfaces(()),
        'Parts of the site by host and path: a list of {"name", "kind": "api" or "web", "hosts", "prefixes"}.',
        readers.surfaces,
    )
    error_format: Literal["envelope", "problem"] = setting(
        "envelope",
        "Form of refusals: `envelope`, or `problem` for RFC 9457; a client may ask for the latter by `Accept`.",
        readers.one_of("envelope", "problem"),
    )
    cors_origins: tuple[str, ...] = setting(
        (),
        "Origins whose scripts may read refusals, as the application itself allows them.",
        readers.many(readers.origin, "a list of origins"),
    )
    cors_credentials: bool = setting(
        False, "Whether those scripts send credentials; needs named origins.", readers.flag
    )
    exceptions: tuple[Exemption, ...] = setting(
        (),
        'Exceptions to rules: a list of {"rule" or "tag", "parameter", "path", "method", "addresses", "comment", '
        '"expires"}.',
        readers.many(Exemption.parse, "a list of exceptions"),
    )
