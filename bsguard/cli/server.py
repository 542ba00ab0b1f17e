"""``check`` of the server: the reference is gunicorn from version 23 with its Python parser."""

from __future__ import annotations

import importlib.util
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bsguard.cli.findings import Result, recognised_server, version_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bsguard.cli.source import Source

_REFERENCE: Final = (23,)
#: gunicorn takes no larger limit_request_line, and counts method and version in.
_LINE_BYTES_MAX: Final = 8190
_LINE_OVERHEAD: Final = len("OPTIONS  HTTP/1.1")


def check_server(source: Source, gunicorn_config: Path | None) -> Iterator[Result]:
    """The server that was seen serving, the gunicorn that is installed, and its settings."""
    seen = recognised_server(source)
    if seen is not None:
        blind = seen.get("blind_spots")
        name = f"{seen.get('server')} {seen.get('version')}".strip()
        if isinstance(blind, list) and blind:
            yield Result("warn", "server", f"last served by {name}: {'; '.join(map(str, blind))}")
        else:
            yield Result("ok", "server", f"last served by {name}")
    installed = version_of("gunicorn")
    if not installed:
        message = "gunicorn is not installed here; the guard sees what other servers let through"
        yield Result("warn", "server", message, "see docs/reference/servers.md for what each server hides")
        return
    text = ".".join(map(str, installed))
    if installed < _REFERENCE:
        yield Result("fail", "server", f"gunicorn {text} lets smuggled requests through", "upgrade to 23 or newer")
        return
    yield Result("ok", "server", f"gunicorn {text}")
    path = gunicorn_config or Path("gunicorn.conf.py")
    if not path.exists():
        message = "no gunicorn configuration file found, so its settings are not checked"
        yield Result("warn", "gunicorn", message, "name it with --gunicorn-config")
        return
    yield from _settings(source, path)


def _settings(source: Source, path: Path) -> Iterator[Result]:
    config = _load(path)
    if isinstance(config, str):
        yield Result("fail", "gunicorn", f"{path} cannot be read: {config}")
        return
    yield Result("ok", "gunicorn", f"{path} read")
    headers = [str(name).upper() for name in config.get("forwarder_headers", ["SCRIPT_NAME", "PATH_INFO"])]
    if headers:
        message = f"headers named {', '.join(headers)} from the proxy are put into the environ as they are"
        yield Result("warn", "gunicorn", message, 'set forwarder_headers = "" unless the proxy uses them')
    if config.get("header_map", "drop") == "dangerous":
        message = "header_map is dangerous: X_Name and X-Name become one header"
        yield Result("fail", "gunicorn", message, 'set header_map = "refuse"')
    if importlib.util.find_spec("gunicorn_h1c") and config.get("http_parser", "auto") != "python":
        message = "the C parser is installed and in use; it accepts lines that end in a bare LF"
        yield Result("fail", "gunicorn", message, 'set http_parser = "python"')
    if config.get("worker_class", "sync") in ("sync", "gunicorn.workers.sync.SyncWorker") and not (
        config.get("threads", 1) > 1
    ):
        message = "sync workers: each client that sends slowly holds a whole worker until the time-out"
        yield Result("warn", "gunicorn", message, 'set worker_class = "gthread" and threads')
    allowed = config.get("forwarded_allow_ips", ["127.0.0.1", "::1"])
    if "*" in allowed:
        message = "forwarded_allow_ips has *: every client's word on HTTPS is believed by the server"
        yield Result("warn", "gunicorn", message, "name the proxy only; bsguard itself goes by its own list")
    line = config.get("limit_request_line", 4094)
    limit = getattr(source.plan.layers["protocol"], "target_bytes_max", 0)
    wanted = min(limit + _LINE_OVERHEAD, _LINE_BYTES_MAX)
    if 0 < line < wanted:
        message = f"limit_request_line is {line}: longer targets are refused by gunicorn, without a coded answer"
        yield Result("warn", "gunicorn", message, f"set limit_request_line = {wanted}")


def _load(path: Path) -> dict[str, Any] | str:
    """gunicorn's settings as its configuration file leaves them, or why they cannot be had."""
    from gunicorn.config import Config

    config = Config()
    try:
        names = runpy.run_path(str(path), run_name="__config__")  # as gunicorn does
        for key in config.settings.keys() & names.keys():
            config.set(key, names[key])
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return {key: setting.get() for key, setting in config.settings.items()}
