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

from sample_app import edge_settings
from sample_app.clock import SECOND_MS
from sample_app.failure_handling import Timing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sample_app.edge_settings import EdgeSettings

REGION_HOSTS: Final = ("api.us.babysea.ai", "api.eu.babysea.ai", "api.jp.babysea.ai")

CONTRACT: Final = Path(__file__).resolve().parent.parent / "openapi" / "control-plane.yaml"

DEFAULTS: Final[Mapping[str, object]] = {
    # SQLAlchemy URL of an SQLite file or a PostgreSQL database, which several machines can share; {region} in it stands
    # for BSGUARD_REGION. Empty means control-plane.sqlite3 in the app's instance folder.
    "CONTROL_PLANE_DATABASE_URL": "",
    # Hosts that serve the API besides the three regions': a comma-separated text or a list, without ports. The
    # default makes a local run work; a public deployment sets it to its own names or to nothing.
    "CONTROL_PLANE_API_HOSTS": ("localhost", "127.0.0.1"),
    # Shared with the scheduler. Empty means that no cron call is accepted.
    "CONTROL_PLANE_CRON_SECRET": "",
    # Signs file addresses and dashboard sessions. Empty means one that the database keeps.
    "CONTROL_PLANE_SECRET_KEY": "",
    # Where providers reach this service, as https://host. Empty means that they do not: then they are only asked.
    "CONTROL_PLANE_PUBLIC_URL": "",
    # Threads of a worker that call providers. 0 means in the request, which is for tests.
    "CONTROL_PLANE_RUNNER_THREADS": 4,
    # Seconds between two sweeps of a worker. 0 means never: then a scheduler must call the cron operation.
    "CONTROL_PLANE_SWEEP_SECONDS": 2,
    # Seconds that an event stream lasts. Below gunicorn's graceful_timeout, so that a restart cuts none off.
    "CONTROL_PLANE_STREAM_SECONDS": 20,
    # Unfinished generations that an account may have.
    "CONTROL_PLANE_UNFINISHED_MAX": 20,
    # Seconds that somebody works on a generation before others may, and that a call whose caller died may be under way.
    "CONTROL_PLANE_LEASE_SECONDS": 60,
    # Seconds before a provider is asked for the first time; later it is twice as long each time.
    "CONTROL_PLANE_POLL_SECONDS": 2,
    # Seconds after which an attempt that nobody has heard of needs reconciling, and for how long that is tried.
    "CONTROL_PLANE_ATTEMPT_SECONDS": 900,
    "CONTROL_PLANE_RECONCILE_SECONDS": 86_400,
    **edge_settings.DEFAULTS,
}

# The least and the most that a number may be.
_BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    "CONTROL_PLANE_RUNNER_THREADS": (0, 64),
    "CONTROL_PLANE_SWEEP_SECONDS": (0, 3_600),
    "CONTROL_PLANE_STREAM_SECONDS": (0, 3_600),
    "CONTROL_PLANE_UNFINISHED_MAX": (1, 100_000),
    "CONTROL_PLANE_LEASE_SECONDS": (0.1, 3_600),
    "CONTROL_PLANE_POLL_SECONDS": (0.01, 3_600),
    "CONTROL_PLANE_ATTEMPT_SECONDS": (0.1, 86_400),
    "CONTROL_PLANE_RECONCILE_SECONDS": (0.1, 30 * 86_400),
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

# What an honest client calls first, as its traffic proposes (`flask bsguard sessions sequences propose`). Reported
# only: a customer may have kept a price or an id for longer.
_GENERATES: Final = ("POST /v1/generate/image/{model}", "POST /v1/generate/video/{model}")
_KNOWS: Final = ("GET /v1/generations", "GET /v1/generations/{generation_id}")
SEQUENCES: Final[tuple[Mapping[str, object], ...]] = (
    *(
        {
            "name": name,
            "operation": operation,
            "after": ["POST /v1/estimate", "GET /v1/models"],
            "within_seconds": 3600,
            "action": "log",
        }
        for name, operation in zip(("image-after-price", "video-after-price"), _GENERATES, strict=True)
    ),
    {
        "name": "get-after-generate",
        "operation": "GET /v1/generations/{generation_id}",
        "after": [*_GENERATES, "GET /v1/generations"],
        "within_seconds": 86_400,
        "action": "log",
    },
    {
        "name": "cancel-after-generate",
        "operation": "POST /v1/generations/{generation_id}/cancel",
        "after": [*_GENERATES, *_KNOWS],
        "within_seconds": 86_400,
        "action": "log",
    },
)

# 16 MiB, the guard's own default for whole bodies: an uploaded file is the largest thing that anybody sends.
BODY_BYTES_MAX: Final = 16 * 1024 * 1024

# A secret that can be guessed guards nothing; 32 characters of hex are 128 bits.
SECRET_LENGTH_MIN: Final = 32

_REGION: Final = re.compile(r"[a-z0-9-]{0,32}", re.ASCII)

_DRIVERS: Final = ("sqlite", "postgresql+psycopg")
_PUBLIC_URL: Final = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-fA-F:.]{2,45}\](:[0-9]{1,5})?")
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
    secret_key: str
    public_url: str
    runner_threads: int
    sweep_seconds: float
    stream_seconds: float
    unfinished_max: int
    timing: Timing
    edges: EdgeSettings


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
    region = _region(config.get("BSGUARD_REGION") or "", problems)
    numbers = {name: _number(name, config[name], problems) for name in _BOUNDS}
    settings = Settings(
        database_url=_database_url(config["CONTROL_PLANE_DATABASE_URL"], instance_path, region, problems),
        api_hosts=_api_hosts(config["CONTROL_PLANE_API_HOSTS"], region, problems),
        cron_secret=_secret("CONTROL_PLANE_CRON_SECRET", config, problems),
        region=region,
        secret_key=_secret("CONTROL_PLANE_SECRET_KEY", config, problems),
        public_url=_public_url(config["CONTROL_PLANE_PUBLIC_URL"], problems),
        runner_threads=int(numbers["CONTROL_PLANE_RUNNER_THREADS"]),
        sweep_seconds=numbers["CONTROL_PLANE_SWEEP_SECONDS"],
        stream_seconds=numbers["CONTROL_PLANE_STREAM_SECONDS"],
        unfinished_max=int(numbers["CONTROL_PLANE_UNFINISHED_MAX"]),
        timing=_timing(numbers),
        edges=edge_settings.read(config, instance_path, problems),
    )
    if problems:
        raise SettingsError(problems)
    store = config.get("BSGUARD_STORE")
    if isinstance(store, str):
        config["BSGUARD_STORE"] = store.replace("{region}", region)
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
        # People write prompts about anything, and providers send them back, with what their models print.
        "BSGUARD_WAF_PROFILES": [
            {"parameter": "generation_prompt", "profile": "free_text"},
            *(
                {"path": "/v1/webhooks/{provider}", "parameter": parameter, "profile": "free_text"}
                for parameter in ("*prompt*", "*logs", "*error*")
            ),
        ],
        # A guessed cron secret is a guessed credential.
        "BSGUARD_LIMITER_CREDENTIAL_HEADERS": ["Authorization", "X-Cron-Secret"],
        "BSGUARD_LIMITER_RULES": list(LIMITS),
        "BSGUARD_SESSION_SEQUENCES": list(SEQUENCES),
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


def _region(value: object, problems: list[str]) -> str:
    if not isinstance(value, str) or not _REGION.fullmatch(value):
        problems.append("BSGUARD_REGION must be a short lower-case name such as us.")
        return ""
    return value


def _number(name: str, value: object, problems: list[str]) -> float:
    """A number from Python or, as text, from the environment."""
    least, most = _BOUNDS[name]
    try:
        number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else None
    except ValueError:
        number = None
    whole = isinstance(DEFAULTS[name], int) and name.endswith(("_THREADS", "_MAX"))
    if number is None or not least <= number <= most or (whole and not number.is_integer()):
        kind = "a whole number" if whole else "a number"
        problems.append(f"{name} must be {kind} from {least} to {most}.")
        return least
    return number


def _timing(numbers: Mapping[str, float]) -> Timing:
    def milliseconds(name: str) -> int:
        return int(numbers[name] * SECOND_MS)

    usual = Timing()
    lease, poll = milliseconds("CONTROL_PLANE_LEASE_SECONDS"), milliseconds("CONTROL_PLANE_POLL_SECONDS")
    return Timing(
        lease=lease,
        submit=lease,
        poll_first=poll,
        poll_max=max(poll, usual.poll_max),
        attempt=milliseconds("CONTROL_PLANE_ATTEMPT_SECONDS"),
        reconcile=milliseconds("CONTROL_PLANE_RECONCILE_SECONDS"),
        reconcile_poll=min(usual.reconcile_poll, milliseconds("CONTROL_PLANE_RECONCILE_SECONDS")),
    )


def _public_url(value: object, problems: list[str]) -> str:
    text = str(value).rstrip("/")
    if text and not _PUBLIC_URL.fullmatch(text):
        problems.append("CONTROL_PLANE_PUBLIC_URL must be a scheme and a host such as https://api.example.com.")
        return ""
    return text


def _database_url(value: object, instance_path: str, region: str, problems: list[str]) -> str:
    if value == "":
        name = f"control-plane-{region}.sqlite3" if region else "control-plane.sqlite3"
        return f"sqlite:///{Path(instance_path) / name}"
    # The value may hold a password, so no problem repeats it.
    text = str(value).replace("{region}", region)
    try:
        url = make_url(text)
    except ArgumentError:
        problems.append("CONTROL_PLANE_DATABASE_URL is not a database URL such as sqlite:////var/lib/app/data.sqlite3.")
        return ""
    if url.drivername not in _DRIVERS:
        problems.append(f"CONTROL_PLANE_DATABASE_URL must begin with one of {', '.join(_DRIVERS)}.")
    elif url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        problems.append("CONTROL_PLANE_DATABASE_URL must name a file: every worker opens the same database.")
    return text


def _api_hosts(value: object, region: str, problems: list[str]) -> tuple[str, ...]:
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
    # A machine of one region serves that region's host; one that is of none, as on a developer's desk, serves all.
    own = [host for host in REGION_HOSTS if not region or host.split(".")[1] == region]
    return tuple(dict.fromkeys((*own, *names)))


def _secret(name: str, config: Mapping[str, object], problems: list[str]) -> str:
    value = config[name]
    if not isinstance(value, str):
        problems.append(f"{name} must be text.")
        return ""
    if value and (len(value) < SECRET_LENGTH_MIN or not value.isascii() or not value.isprintable()):
        problems.append(f"{name} must be at least {SECRET_LENGTH_MIN} printable ASCII characters.")
    return value
