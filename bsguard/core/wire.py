"""What each WSGI server hides before a middleware can see it.

A middleware judges the environ, and the environ is what a server made of the bytes on the wire: joined, decoded,
repaired or guessed. This table says for each server what can no longer be told from an honest request, so that
nobody claims more than is true. The figures come from raw requests sent to each server. gunicorn from version 23
with its Python parser is the reference: it hides nothing of what the protocol layer checks.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Server:
    """A WSGI server as recognised from the environ."""

    name: str
    version: str = ""
    #: What reaches the application although it should not, and cannot be seen in the environ. Empty: nothing known.
    blind_spots: tuple[str, ...] = ()
    #: Whether the server closes the connection when a response says ``Connection: close``. PEP 3333 lets it ignore
    #: that, and gunicorn does.
    honours_close: bool = False


_GUNICORN_OLD: Final = (
    "versions before 22 merge header names with underscores and dashes, and accept Transfer-Encoding with "
    "Content-Length; upgrade to 23 or newer",
)
_GUNICORN_22: Final = ("version 22 accepts malformed lines that 23 refuses; upgrade",)
_TWENTY_THREE: Final = 23
_GUNICORN_23: Final = ("of two Content-Type headers the last is taken, and the first is gone; upgrade",)
_GUNICORN_C_PARSER: Final = (
    "the C parser (gunicorn_h1c) accepts lines that end in a bare LF; run with --http-parser python",
)
_WAITRESS: Final = (
    "duplicate Transfer-Encoding, and Transfer-Encoding with Content-Length, are folded into a Content-Length",
    "folded header lines are joined, and HTTP/0.9, 2.0 and 9.9 appear as HTTP/1.0",
    "keep it behind a proxy that normalises framing",
)
_UWSGI: Final = (
    "chunked bodies are not decoded, so such requests are refused",
    "paths are normalised before the application, and HTTPS is believed from any client's X-Forwarded-Proto",
    "keep it behind a proxy",
)
_GRANIAN: Final = (
    "Content-Length beside Transfer-Encoding is dropped, and of duplicate Content-Type the first is taken",
    "the raw target is not passed on: encoded slashes, fragments and absolute-form targets cannot be seen",
    "the last spelling of a header wins, so a client's X_Name overwrites a proxy's X-Name",
    "keep it behind a proxy",
)
_PYWSGI: Final = (
    "Transfer-Encoding with Content-Length runs the application twice, and bad header lines are skipped",
    "the raw target is not passed on: encoded slashes, fragments and absolute-form targets cannot be seen",
    "keep it behind a proxy",
)
_CHEROOT: Final = (
    "of duplicate Host, Content-Length and Authorization the last is taken, and the first is gone",
    "keep it behind a proxy",
)
_DEVELOPMENT: Final = ("a development server: malformed lines are skipped; never put it in front of the public",)


#: For the reference page.
TABLE: Final[dict[str, tuple[str, ...]]] = {
    "gunicorn >= 24, Python parser": (),
    "gunicorn >= 24, C parser": _GUNICORN_C_PARSER,
    "gunicorn 23": _GUNICORN_23,
    "gunicorn 22": _GUNICORN_22,
    "gunicorn < 22": _GUNICORN_OLD,
    "waitress": _WAITRESS,
    "uWSGI": _UWSGI,
    "granian": _GRANIAN,
    "gevent pywsgi": _PYWSGI,
    "cheroot": _CHEROOT,
    "wsgiref, Werkzeug": _DEVELOPMENT,
}


def recognise(environ: Mapping[str, object]) -> Server:
    """The server that made *environ*; an unknown one has the name ``unknown`` and no claims are made for it."""
    name, _, version = str(environ.get("SERVER_SOFTWARE", "")).partition("/")
    name = name.lower()
    if name == "gunicorn" or "gunicorn.socket" in environ:
        return _gunicorn(version)
    if "uwsgi" in sys.modules or "uwsgi.version" in environ:
        return Server("uwsgi", version, _UWSGI)
    if name == "waitress":
        return Server("waitress", version, _WAITRESS)
    if name == "granian" or "granian.tls" in environ or "granian" in sys.modules:
        return Server("granian", version, _GRANIAN, honours_close=True)
    if name == "gevent" or ("gevent.pywsgi" in sys.modules and "RAW_URI" not in environ):
        return Server("pywsgi", version, _PYWSGI, honours_close=True)
    if name == "cheroot":
        return Server("cheroot", version, _CHEROOT)
    if name in ("werkzeug", "wsgiserver"):
        return Server("werkzeug" if name == "werkzeug" else "wsgiref", version, _DEVELOPMENT)
    return Server("unknown")


def _gunicorn(version: str) -> Server:
    if not version:  # gunicorn names only itself in SERVER_SOFTWARE where server_software is changed
        version = str(getattr(sys.modules.get("gunicorn"), "__version__", ""))
    number = version.partition(".")[0]
    major = int(number) if number.isascii() and number.isdigit() and len(number) < 5 else 0
    if major < 22:
        return Server("gunicorn", version, _GUNICORN_OLD)
    if major < 23:
        return Server("gunicorn", version, _GUNICORN_22)
    spots = _GUNICORN_23 if major == _TWENTY_THREE else ()
    return Server("gunicorn", version, spots + (_GUNICORN_C_PARSER if "gunicorn_h1c" in sys.modules else ()))
