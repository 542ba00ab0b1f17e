"""The way out: the application's response, seen to its end and otherwise left as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from _typeshed.wsgi import StartResponse

    from bsguard.core.request import Request

    #: Called with the request, the status (0 if there was none, 500 if the application raised), the headers, and the
    #: body if it was to be kept and was short enough.
    Finish = Callable[[Request, int, list[tuple[str, str]], bytes | None], None]
    ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


def missing(own: Iterable[tuple[str, str]], headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of our *own* headers that are not among the answer's; what the application says of itself stands."""
    there = {name.lower() for name, _ in headers}
    return [(name, value) for name, value in own if name.lower() not in there]


class Exchange:
    """One response on its way out.

    It is the iterable that the server gets: it has no length, whatever it wraps, and its ``close`` calls *finish* once
    with status and headers of the answer. An *owner* adds the request id to the headers, and what verdicts
    want there.
    """

    __slots__ = ("_chunks", "_finish", "_headers", "_keep", "_kept", "_owner", "_request", "_start_response", "_status")

    def __init__(
        self, request: Request, start_response: StartResponse, owner: bool, finish: Finish, keep: int = 0
    ) -> None:
        #: How many bytes of the body are kept for who asked; what was kept, None once it was too long.
        self._keep = keep
        self._kept: bytearray | None = bytearray() if keep else None
        self._request = request
        self._start_response = start_response
        self._owner = owner
        self._finish: Finish | None = finish
        self._status = ""
        self._headers: list[tuple[str, str]] = []
        self._chunks: Iterable[bytes] = ()

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        """The ``start_response`` that the application gets."""
        sent = headers
        if self._owner:
            request = self._request
            own = ((request.settings.request_id_header, request.id), *request.shared.respond)
            sent = [*headers, *missing(own, headers)]
        arguments = (status, sent) if exc_info is None else (status, sent, exc_info)
        write = self._start_response(*arguments)
        self._status, self._headers = status, headers  # only now: a start that comes too late raises
        return write

    def carry(self, chunks: Iterable[bytes]) -> Iterable[bytes]:
        """What to hand to the server for the application's *chunks*.

        A started response in the server's own file wrapper is handed on as it is, so that the server can send the
        file by itself; it counts as finished now. Not if the body was read: the file may be the body itself.
        """
        wrapper = self._request.environ.get("wsgi.file_wrapper")
        if self._status and type(chunks) is wrapper and not self._request.body.touched:
            self._end()
            return chunks
        self._chunks = chunks
        return self

    def fail(self) -> None:
        """The application raised instead of answering; whatever it had started, the server answers 500 (PEP 3333)."""
        self._status, self._headers = "500", []
        self._end()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks) if self._kept is None else self._copied(self._chunks)

    def _copied(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if self._kept is not None:
                self._kept += chunk
                if len(self._kept) > self._keep:
                    self._kept = None
            yield chunk

    def close(self) -> None:
        """Close what the application returned, then finish; once, however often a server calls it."""
        chunks, self._chunks = self._chunks, ()
        try:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        finally:
            self._end()

    def _end(self) -> None:
        finish, self._finish = self._finish, None
        if finish is not None:
            status = int(self._status[:3]) if self._status[:3].isdigit() else 0
            finish(self._request, status, self._headers, None if self._kept is None else bytes(self._kept))
