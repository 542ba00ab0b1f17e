"""Settings: defaults, then the environment, then what ``create_app`` is given; the last one wins.

``CONTROL_PLANE_*`` are the sample's own and are read as plain text. ``BSGUARD_*`` are the guard's and are read as
Flask reads prefixed variables: JSON where it parses, text otherwise, ``__`` for one level down. Both keep their
prefix in ``app.config``, which ``Config.from_prefixed_env`` alone would strip.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from flask import Config
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

REGION_HOSTS: Final = ("api.us.babysea.ai", "api.eu.babysea.ai", "api.jp.babysea.ai")

CONTRACT: Final = Path(__file__).resolve().parent.parent / "openapi" / "control-plane.yaml"

DEFAULTS: Final[Mapping[str, object]] = {
    # SQLAlchemy URL of an SQLite file; empty means control-plane.sqlite3 in the app's instance folder.
    "CONTROL_PLANE_DATABASE_URL": "",
    # Hosts that serve the API besides the three regions': a comma-separated text or a list, without ports. The
    # default makes a local run work; a public deployment sets it to its own names or to nothing.
    "CONTROL_PLANE_API_HOSTS": ("localhost", "127.0.0.1"),
    # Shared with the scheduler. Empty means that no cron call is accepted.
    "CONTROL_PLANE_CRON_SECRET": "",
}

# Read by gunicorn.conf.py before there is an app; known here so that they do not count as misspelt.
SERVER_KEYS: Final = (
    "CONTROL_PLANE_BIND",
    "CONTROL_PLANE_WORKERS",
    "CONTROL_PLANE_THREADS",
    "CONTROL_PLANE_FORWARDED_ALLOW_IPS",
)

UPLOAD_MEDIA_TYPES: Final = ("image/png", "image/jpeg", "image/webp", "video/mp4")

# Besides the guard's own limits on clients. What an account's plan allows is in `plan_limits.py`.
LIMITS: Final[tuple[Mapping[str, object], ...]] = (
    # Anybody may try it, so it has a short limit against bursts and a long one against patience.
    {"name": "playground", "path": "/v1/playground", "key": "identity", "rate": "10 per 10 seconds; 60 per 10 minutes"},
    # A provider that is told to wait tries again later; nothing is lost, and it is never banned.
    {"name": "webhooks", "path": "/v1/webhooks/{provider}", "key": "ip", "rate": "600 per minute"},
    # One scheduler calls each job every few minutes, whoever and however many it is that asks.
    {"name": "cron", "path": "/v1/cron/{job}", "key": "global", "rate": "4 per minute"},
    # Starting a video holds a worker's thread; no client may have all of them.
    {"name": "videos-at-once", "path": "/v1/generate/video/{model}", "key": "identity", "concurrency": 4},
)

# 16 MiB, the guard's own default for whole bodies: an uploaded file is the largest thing that anybody sends.
BODY_BYTES_MAX: Final = 16 * 1024 * 1024

# A secret that can be guessed guards nothing; 32 characters of hex are 128 bits.
CRON_SECRET_LENGTH_MIN: Final = 32

_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\]")


class SettingsError(ValueError):
    """The operator's settings cannot be used. ``problems`` has one sentence for each thing to mend."""

    def __init__(self, problems: Iterable[str]) -> None:
        """Put all *problems* into one message."""
        self.problems = tuple(problems)
        super().__init__("The control plane cannot start:\n" + "\n".join(f"  - {each}" for each in self.problems))


@dataclass(frozen=True, slots=True)
class Settings:
    """The sample's own settings, checked."""

    database_url: str
    api_hosts: tuple[str, ...]
    cron_secret: str
    region: str


def configure(config: Config, given: Mapping[str, object] | None, instance_path: str) -> Settings:
    """Fill *config* and return the checked settings.

    *given* is what ``create_app`` was called with; *instance_path* is where the default database lies.

    Raises:
        SettingsError: with every problem of the ``CONTROL_PLANE_*`` settings at once. Problems of ``BSGUARD_*``
            settings are reported by the guard itself.
    """
    problems: list[str] = []
    config.update(DEFAULTS)
    config.update(_guard_defaults())
    config.update(_environment("CONTROL_PLANE", str, problems))
    config.update(_environment("BSGUARD", json.loads, problems))
    config.update(given or {})

    _check_names(config, problems)
    settings = Settings(
        database_url=_database_url(config["CONTROL_PLANE_DATABASE_URL"], instance_path, problems),
        api_hosts=_api_hosts(config["CONTROL_PLANE_API_HOSTS"], problems),
        cron_secret=_cron_secret(config["CONTROL_PLANE_CRON_SECRET"], problems),
        region=str(config.get("BSGUARD_REGION") or ""),
    )
    if problems:
        raise SettingsError(problems)
    # Plan limits are counted beside what the guard keeps, so that they hold across workers.
    state = Path(config.get("BSGUARD_STATE_DIR") or Path(instance_path) / "bsguard").absolute()
    config.setdefault("RATELIMIT_STORAGE_URI", f"bsguard+local://{quote(str(state))}")
    config.setdefault("BSGUARD_SURFACES", [_api_surface(settings.api_hosts)])
    config.setdefault("BSGUARD_CONTRACT_DOCUMENTS", [_contract(settings.api_hosts)])
    return settings


def _guard_defaults() -> dict[str, object]:
    return {
        "MAX_CONTENT_LENGTH": BODY_BYTES_MAX,
        "BSGUARD_MODE": "enforce",
        "BSGUARD_BODY_BYTES_MAX": BODY_BYTES_MAX,
        # An upload is the file itself; everything else that is posted is JSON.
        "BSGUARD_PROTOCOL_CONTENT_TYPES": {"/v1/files": list(UPLOAD_MEDIA_TYPES)},
        "BSGUARD_FILE_PATHS": ["/v1/files"],
        # The Core Rule Set, once it is installed and BSGUARD_MANAGED_CRS is true, must know uploads as well.
        "BSGUARD_MANAGED_ALLOWED_CONTENT_TYPES": ["application/json", *UPLOAD_MEDIA_TYPES],
        # A guessed cron secret is a guessed credential.
        "BSGUARD_LIMITER_CREDENTIAL_HEADERS": ["Authorization", "X-Cron-Secret"],
        "BSGUARD_LIMITER_RULES": list(LIMITS),
        "BSGUARD_EXCEPTIONS": [
            {
                "rule": "limiter.global",
                "path": "/v1/webhooks/{provider}",
                "comment": "providers send as many webhooks as there are generations; the rule webhooks counts them",
            }
        ],
    }


def _api_surface(hosts: tuple[str, ...]) -> dict[str, object]:
    return {"name": "api", "kind": "api", "hosts": list(hosts), "prefixes": ["/v1"]}


def _contract(hosts: tuple[str, ...]) -> dict[str, object]:
    """The document, served at its three servers and at the hosts of this deployment."""
    return {"file": str(CONTRACT), "hosts": [host for host in hosts if host not in REGION_HOSTS]}


def _environment(prefix: str, loads: Callable[[str], Any], problems: list[str]) -> dict[str, object]:
    scratch = Config(root_path="")
    try:
        scratch.from_prefixed_env(prefix, loads=loads)
    except TypeError:
        # `X=1` and `X__Y=2` together: the first says that X is no mapping.
        problems.append(f"An environment variable {prefix}_…__… goes into a setting that is not a mapping.")
    return {f"{prefix}_{name}": value for name, value in scratch.items()}


def _check_names(config: Config, problems: list[str]) -> None:
    known = (*DEFAULTS, *SERVER_KEYS)
    for name in sorted(config):
        if not name.startswith("CONTROL_PLANE_") or name in known:
            continue
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        problems.append(f"{name} is not a setting.{hint}")


def _database_url(value: object, instance_path: str, problems: list[str]) -> str:
    if value == "":
        return f"sqlite:///{Path(instance_path) / 'control-plane.sqlite3'}"
    # The value may hold a password, so no problem repeats it.
    try:
        url = make_url(str(value))
    except ArgumentError:
        problems.append("CONTROL_PLANE_DATABASE_URL is not a database URL such as sqlite:////var/lib/app/data.sqlite3.")
        return ""
    if url.get_backend_name() != "sqlite":
        problems.append("CONTROL_PLANE_DATABASE_URL must be an SQLite URL.")
    elif url.database in (None, "", ":memory:"):
        problems.append("CONTROL_PLANE_DATABASE_URL must name a file: every worker opens the same database.")
    return str(value)


def _api_hosts(value: object, problems: list[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        names = [name.strip() for name in value.split(",") if name.strip()]
    elif isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value):
        names = list(value)
    else:
        problems.append("CONTROL_PLANE_API_HOSTS must be host names, as a list or separated by commas.")
        return ()
    for name in names:
        if not _HOST.fullmatch(name):
            problems.append(f"CONTROL_PLANE_API_HOSTS has {name!r}, which is not a lower-case host name without port.")
    return tuple(dict.fromkeys((*REGION_HOSTS, *names)))


def _cron_secret(value: object, problems: list[str]) -> str:
    if not isinstance(value, str):
        problems.append("CONTROL_PLANE_CRON_SECRET must be text.")
        return ""
    if value and (len(value) < CRON_SECRET_LENGTH_MIN or not value.isascii() or not value.isprintable()):
        problems.append(
            f"CONTROL_PLANE_CRON_SECRET must be at least {CRON_SECRET_LENGTH_MIN} printable ASCII characters."
        )
    return value
