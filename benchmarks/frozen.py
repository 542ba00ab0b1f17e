"""The frozen requests that every layer and peer is measured with, and the environ that gunicorn makes of them."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIEnvironment

_FOLDER = Path(__file__).parent / "requests"


@dataclass(frozen=True, slots=True)
class Frozen:
    """One request of the benchmarks, as it was written down once."""

    name: str
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @classmethod
    def load(cls, name: str) -> Frozen:
        """Read ``requests/<name>.json``."""
        facts = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        return cls(name, facts["method"], facts["target"], facts["headers"], facts["body"].encode("utf-8"))

    def factory(self) -> Callable[[], WSGIEnvironment]:
        """A function that makes a fresh environ of this request; making one costs the same for every peer."""
        path, _, query = self.target.partition("?")
        template: dict[str, Any] = {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "RAW_URI": self.target,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_SOFTWARE": "gunicorn/27.0.1",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_PORT": "40000",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            "wsgi.file_wrapper": _FileWrapper,
            "gunicorn.socket": None,
        }
        for name, value in self.headers.items():
            key = name.upper().replace("-", "_")
            template[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        if self.body:
            template["CONTENT_LENGTH"] = str(len(self.body))
        body = self.body

        def make() -> WSGIEnvironment:
            environ = template.copy()
            environ["wsgi.input"] = io.BytesIO(body)
            return environ

        return make


class _FileWrapper:
    """Stands for the server's own."""
