"""The request body: read at most once, kept, and handed on as exactly the bytes that were judged.

States: *untouched* (``wsgi.input`` is the server's, nothing read) -> *loaded* (every byte is here) or *stopped* (the
body was too large or broke; what was read is here, and the failure is remembered). Once anything was read,
:meth:`Body.rewind` puts a stream in place that yields the same bytes again: all of them when loaded; what was read
and then the unread rest, or the failure itself, when stopped. Nothing is read unless a layer asks, or the body is
chunked: a chunked body shows its errors only on reading.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

from bsguard.core import codes
from bsguard.core.errors import BodyError
from bsguard.core.grammar import CONTENT_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed.wsgi import WSGIEnvironment

#: Up to here a body stays in memory, beyond it in a temporary file; what most API calls send stays in memory.
SPOOL_MEMORY_BYTES_MAX: Final = 64 * 1024
#: How much is read at a time.
BODY_PIECE_BYTES: Final = 64 * 1024


class Body:
    """The body of one request. Shared by all layers and by copies of the environ."""

    __slots__ = (
        "_data",
        "_failure",
        "_given",

        "_loaded",
        "_read",
        "_source",
        "_spool",
        "_stopped",
        "_tail",
        "chunked",
        "length",
        "misframed",
    )  # fmt: skip

    def __init__(self, environ: WSGIEnvironment) -> None:
        raw_length = environ.get("CONTENT_LENGTH")
        transfer_encoding = environ.get("HTTP_TRANSFER_ENCODING")
        #: The server's stream, and the one that the environ carries now.
        self._source: IO[bytes] = environ["wsgi.input"]
        self._given = self._source
        #: Declared length in bytes; 0 when none is declared.
        self.length = 0
        #: Whether the body ends where its chunks end.
        self.chunked = transfer_encoding is not None
        #: Why the framing cannot be relied on; empty when it can. RFC 9112 §6.3.
        self.misframed = ""
        if raw_length:
            if CONTENT_LENGTH.fullmatch(raw_length):
                self.length = int(raw_length)
            else:
                self.misframed = "Content-Length is not a plain number"
        if transfer_encoding is not None:
            if raw_length:
                self.misframed = "Content-Length beside Transfer-Encoding"
            elif transfer_encoding.strip(" \t").lower() != "chunked":
                self.misframed = "Transfer-Encoding is not just chunked"
            elif not environ.get("wsgi.input_terminated"):
                self.misframed = "the server does not decode chunked bodies"
        self._loaded = not (self.length or self.chunked or self.misframed)
        self._read = 0
        self._stopped: BodyError | None = None
        self._failure: Exception | None = None
        self._spool: IO[bytes] | None = None
        #: The whole body, once a layer asked for it.
        self._data: bytes | None = None
        #: What was read and could not be kept, because the disk is full.
        self._tail = b""

    @property
    def present(self) -> bool:
        """Whether the request says that it has a body."""
        return bool(self.length or self.chunked or self.misframed)

    @property
    def bytes_read(self) -> int:
        """How much of it is here; once it is loaded, its length."""
        return self._read

    @property
    def touched(self) -> bool:
        """Whether anything was read from the server's stream."""
        return self._spool is not None

    @property
    def failed(self) -> bool:
        """Whether reading it stopped for good: it broke, or somebody else has the rest."""
        return self._stopped is not None and not self._resumable

    def belongs_to(self, environ: WSGIEnvironment) -> bool:
        """Whether the environ still carries this body's stream; a foreign middleware may have put in another."""
        return environ["wsgi.input"] is self._given

    def read(self, bytes_max: int) -> bytes:
        """All of the body, if it is at most *bytes_max* long.

        Raises :class:`~bsguard.core.errors.BodyError`, every time it is asked, when the body is longer, misframed or
        broken. A body whose declared length is over the maximum is refused without reading any of it.
        """
        self._need(bytes_max)
        if self._data is None and self._spool is not None:
            self._spool.seek(0)
            self._data = self._spool.read()
        return self._data or b""

    def pieces(self, bytes_max: int) -> Iterator[bytes]:
        """The same without the whole of it in memory; raises before the first piece."""
        self._need(bytes_max)
        if self._spool is not None:
            self._spool.seek(0)
            while piece := self._spool.read(BODY_PIECE_BYTES):
                yield piece

    def _need(self, bytes_max: int) -> None:
        """Have all of it here."""
        if self.length > bytes_max:
            raise BodyError("body.size", codes.BODY_TOO_LARGE, f"declared length is over {bytes_max} bytes")
        if not self._loaded:
            self.load(bytes_max)
        if self._read > bytes_max:
            raise BodyError("body.size", codes.BODY_TOO_LARGE, f"longer than {bytes_max} bytes")

    def load(self, bytes_max: int) -> None:
        """Read the body to its end, if it is at most *bytes_max* long; raises as :meth:`read` does."""
        if self._loaded:
            return
        if self._stopped is not None and self.failed:
            raise self._stopped
        if self.misframed:
            raise BodyError("body.framing", codes.INVALID_FRAMING, self.misframed)
        if self.length > bytes_max:
            raise BodyError("body.size", codes.BODY_TOO_LARGE, f"declared length is over {bytes_max} bytes")
        try:
            self._fill(bytes_max)
        except BodyError as stopped:
            self._stopped = stopped
            raise
        self._loaded = True

    def rewind(self, environ: WSGIEnvironment) -> None:
        """Let the next reader of *environ* start from the first byte; leaves an untouched body as it is."""
        if self._spool is None:
            return
        self._spool.seek(0)
        if self._loaded:
            self._given = self._spool
            # Says that reading to the end is safe, so that frameworks read a chunked body (Werkzeug, gunicorn).
            environ["wsgi.input_terminated"] = True
        else:
            unread = self.length - self._read if self.length else None
            kept = self._read - len(self._tail)
            rest = _Continued(self._spool, kept, self._tail, self._source, unread, self._failure)
            self._given = cast("IO[bytes]", io.BufferedReader(rest))
        environ["wsgi.input"] = self._given

    def put_back(self, environ: WSGIEnvironment) -> None:
        """Let *environ* have the server's stream again."""
        if environ.get("wsgi.input") is self._given:
            environ["wsgi.input"] = self._source

    def close(self) -> None:
        """Free the spool."""
        if self._spool is not None:
            self._spool.close()

    @property
    def _resumable(self) -> bool:
        """Stopped only by a limit, and nobody else has read from the server's stream since."""
        stopped_by_limit = self._stopped is not None and self._stopped.code is codes.BODY_TOO_LARGE
        return stopped_by_limit and self._given is self._source

    def _fill(self, limit: int) -> None:
        """Move the server's stream into the spool, up to one byte past *limit* when the end is not declared."""
        wanted = self.length or limit + 1
        if self._spool is None:
            self._spool = io.BytesIO()
        self._spool.seek(0, io.SEEK_END)
        while self._read < wanted:
            piece = self._piece(min(wanted - self._read, BODY_PIECE_BYTES))
            if not piece:
                if self.length:
                    reason = f"ended after {self._read} of {self.length} bytes"
                    raise BodyError("body.incomplete", codes.BODY_BROKEN, reason)
                return
            self._read += len(piece)
            try:
                self._keep(piece)
            except OSError as error:
                self._tail = piece
                raise BodyError("body.spool", codes.GUARD_FAILED, "no room to keep it for checking") from error
        if self._read > limit:
            raise BodyError("body.size", codes.BODY_TOO_LARGE, f"longer than {limit} bytes")

    def _keep(self, piece: bytes) -> None:
        """Write a piece to the spool, which becomes a file when it outgrows the memory allowed."""
        if isinstance(self._spool, io.BytesIO) and self._read > SPOOL_MEMORY_BYTES_MAX:
            file = _temporary_file()
            file.write(self._spool.getvalue())
            self._spool = file
        if self._spool is not None:
            self._spool.write(piece)

    def _piece(self, size: int) -> bytes:
        """Up to *size* bytes from the server's stream; empty at its end."""
        try:
            return self._source.read(size)
        except Exception as error:  # servers raise their own types here: bad chunks, resets, time-outs
            self._failure = error
            raise BodyError(
                "body.broken", codes.BODY_BROKEN, f"reading it failed with {type(error).__name__}"
            ) from error


class _File(io.FileIO):
    """Closed without a word when nobody closes it: test clients leave responses open, and suites fail on warnings."""

    def __del__(self) -> None:
        self.close()


class _Spool(io.BufferedRandom):
    """The same for the buffer around it, which is for reading only: a write that the disk refuses fails at once."""

    def __del__(self) -> None:
        self.close()

    def write(self, data: bytes) -> int:  # type: ignore[override]
        rest = memoryview(data)
        while rest:
            rest = rest[self.raw.write(rest) :]
        return len(data)


def _temporary_file() -> IO[bytes]:
    """A file without a name."""
    import tempfile  # slow to import, and most bodies stay in memory

    descriptor, path = tempfile.mkstemp(prefix="bsguard-")
    Path(path).unlink()
    return _Spool(_File(descriptor, "r+"))


class _Continued(io.RawIOBase):
    """What was read of a body, then the rest of it, or the failure that stopped the reading."""

    def __init__(
        self,
        spool: IO[bytes],
        spool_bytes: int,
        tail: bytes,
        source: IO[bytes],
        source_bytes: int | None,
        failure: Exception | None,
    ) -> None:
        super().__init__()
        self._spool = spool
        self._spool_bytes = spool_bytes
        self._tail = tail
        self._source = source
        self._source_bytes = source_bytes
        self._failure = failure

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._next(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def _next(self, size: int) -> bytes:
        if self._spool_bytes:
            piece = self._spool.read(min(size, self._spool_bytes))
            self._spool_bytes -= len(piece)
            return piece
        if self._tail:
            piece, self._tail = self._tail[:size], self._tail[size:]
            return piece
        if self._failure is not None:
            raise self._failure
        if self._source_bytes is None:
            return self._source.read(size)
        piece = self._source.read(min(size, self._source_bytes)) if self._source_bytes else b""
        self._source_bytes -= len(piece)
        return piece
