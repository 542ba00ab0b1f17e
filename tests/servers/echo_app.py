"""The app behind the servers under test: it remembers each call it gets, to the byte, and says 200.

Run by gunicorn as `echo_app:create()`, in another process and without the tests' modules. `ECHO_PLAN` is a JSON object:
`guard`, the settings to wrap the app with (null: leave it bare), and `control`, a path outside the guard that tells and
forgets the calls so far.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading


class Echo:
    """A WSGI app that records. The call counts from the moment it comes in, whether or not its body can be read."""

    def __init__(self):
        self._calls = []
        self._lock = threading.Lock()

    def __call__(self, environ, start_response):
        call = {
            "method": environ["REQUEST_METHOD"],
            "target": environ.get("RAW_URI") or environ.get("REQUEST_URI", ""),
            "script": environ.get("SCRIPT_NAME", ""),
            "path": environ["PATH_INFO"],
            "query": environ.get("QUERY_STRING", ""),
            "protocol": environ["SERVER_PROTOCOL"],
            "scheme": environ["wsgi.url_scheme"],
            "peer": environ.get("REMOTE_ADDR", ""),
            "fields": {key: value for key, value in environ.items() if key.startswith(("HTTP_", "CONTENT_"))},
            "body": "",
            "error": None,
        }
        with self._lock:
            self._calls.append(call)
        try:
            body = read(environ, environ.get("HTTP_X_READ", "all"))
        except Exception as error:
            call["error"] = type(error).__name__
            raise
        call["body"] = base64.b64encode(body).decode()
        answer = json.dumps({"target": call["target"], "sha256": hashlib.sha256(body).hexdigest()}).encode()
        start_response(
            "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer))), ("X-Echo", "1")]
        )

        return [] if call["method"] == "HEAD" else [answer]

    def drain(self):
        """The calls since the last time."""
        with self._lock:
            calls, self._calls = self._calls, []

        return calls


def read(environ, way):
    """The body, by one of the ways that PEP 3333 gives an app."""
    source = environ["wsgi.input"]
    if way == "none":
        return b""
    if way == "lines":
        return b"".join(iter(source.readline, b""))
    if way == "pieces":
        return b"".join(iter(lambda: source.read(7), b""))
    if way == "iteration":
        return b"".join(source)

    return source.read()


class Control:
    """Answers one path itself and gives all others to the app."""

    def __init__(self, app, echo, path):
        self._app, self._echo, self._path = app, echo, path

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] != self._path:
            return self._app(environ, start_response)
        body = json.dumps({"pid": os.getpid(), "calls": self._echo.drain()}).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])

        return [body]


def create():
    """The app as the plan says."""
    plan = json.loads(os.environ["ECHO_PLAN"])
    echo = app = Echo()
    if plan["guard"] is not None:
        from bsguard import guard

        app = guard(echo, plan["guard"])

    return Control(app, echo, plan["control"])
