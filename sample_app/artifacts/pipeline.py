"""Outputs on their way into the storage, and uploads too: fetched, counted, sniffed and hashed, never whole in memory.

Where things lie, below the account's name:

    <generation>/attempt-<n>/<index>-<digest>.<ext>   an output
    <generation>/attempt-<n>/manifest.json            all outputs of the attempt, once they are there
    <generation>/winner.json                          whose outputs are the generation's; made once, by the first
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import io
import json
from dataclasses import asdict, dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Final

from sample_app.artifact_pipeline import FileRefused, Keeping, Kept, Stored, Unavailable, Unusable, Winner
from sample_app.artifacts.sniffing import EXTENSIONS, MEDIA_TYPES, SNIFF_BYTES, media_type_of
from sample_app.artifacts.store import StoreUnavailable
from sample_app.crash_points import passing
from sample_app.outbound.exchange import Lost, NotSent, Outbound

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from sample_app.artifacts.store import Store
    from sample_app.attempts import Attempt
    from sample_app.catalogue import Provider
    from sample_app.generations import Generation
    from sample_app.providers.port import Output, ProviderPort

# Above this, a file on its way waits on the disk.
MEMORY_BYTES_MAX: Final = 1024 * 1024
# A manifest of four outputs has about a thousand bytes.
MANIFEST_BYTES_MAX: Final = 65_536

_DIGEST_CHARACTERS: Final = 16
_JSON: Final = "application/json"
# These say that the file will not be there; others, that it is not there now.
_GONE: Final = (401, 403, 410, 451)


class _Useless(Exception):
    """The outputs are no good, for a reason that is stored."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class _NotNow(_Useless):
    """They may be good later."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The pipeline. *downloads* has a client for each provider, which reaches the hosts of its outputs only."""

    store: Store
    ports: Mapping[Provider, ProviderPort]
    downloads: Mapping[Provider, Outbound]
    bytes_max: int

    def keep(self, generation: Generation, attempt: Attempt, outputs: Sequence[Output], output_format: str) -> Keeping:
        """Fetch and store *outputs*, then try to become the winner."""
        base = f"{generation.account_id}/{generation.generation_id}"
        place = f"{base}/attempt-{attempt.number}"
        try:
            # Somebody has won: fetching for second place would be for nothing.
            won = self._read(f"{base}/winner.json")
            if won is not None:
                return Kept(won)
            mine = self._read(f"{place}/manifest.json")
            if mine is None:
                if len(outputs) != _ordered(generation):
                    raise _Useless("wrong_count")
                files = [
                    self._fetch(attempt.provider, output, f"{place}/{index}", output_format)
                    for index, output in enumerate(outputs)
                ]
                mine = self._write_once(f"{place}/manifest.json", Winner(attempt.number, tuple(files)))
            passing("fetched")
            return Kept(self._write_once(f"{base}/winner.json", mine))
        except _NotNow as useless:
            return Unavailable(useless.reason)
        except _Useless as useless:
            return Unusable(useless.reason)
        except StoreUnavailable:
            return Unavailable("storage_unavailable")

    def winner(self, account_id: str, generation_id: str) -> Winner | None:
        """The winner that the storage has."""
        return self._read(f"{account_id}/{generation_id}/winner.json")

    def put(self, key: str, chunks: Iterable[bytes], media_type: str, bytes_max: int) -> Stored:
        """Store an upload under a new key."""
        with SpooledTemporaryFile(MEMORY_BYTES_MAX) as spool:
            try:
                stored = _receive(chunks, spool, key, media_type, bytes_max)
            except _Useless as useless:
                raise FileRefused(too_large=useless.reason == "too_large") from None
            self.store.put_once(key, spool, media_type)
        return stored

    def open(self, key: str) -> Iterator[bytes]:
        """The bytes of a stored file."""
        return self.store.open(key)

    def link(self, key: str, seconds: int) -> str | None:
        """An address of the storage's own, where it has one."""
        return self.store.link(key, seconds)

    def delete(self, key: str) -> None:
        """Remove a file."""
        self.store.delete(key)

    def _fetch(self, provider: Provider, output: Output, place: str, output_format: str) -> Stored:
        media_type = MEDIA_TYPES[output_format]
        with SpooledTemporaryFile(MEMORY_BYTES_MAX) as spool:
            try:
                # Closed at once, and with it the connection, when the first bytes are of no use.
                with contextlib.closing(self._chunks(provider, output.url)) as chunks:
                    received = _receive(chunks, spool, place, media_type, self.bytes_max)
            except NotSent as failure:
                # Refused addresses stay refused; a host that is not there may come back.
                final = failure.why not in ("unreachable", "unresolved")
                raise (_Useless if final else _NotNow)(f"address_{failure.why}") from None
            except Lost as failure:
                raise (_Useless if failure.why == "too_large" else _NotNow)(failure.why) from None
            # The digest in the key makes writing it twice harmless: it is the same file.
            key = f"{place}-{received.sha256[:_DIGEST_CHARACTERS]}.{EXTENSIONS[media_type]}"
            self.store.put_once(key, spool, media_type)
        return Stored(key, received.media_type, received.bytes, received.sha256)

    def _chunks(self, provider: Provider, url: str) -> Generator[bytes]:
        if url.startswith("data:"):
            yield from _inline(url)
            return
        headers = self.ports[provider].download_headers(url) if provider in self.ports else {}
        with self.downloads[provider].open("GET", url, headers) as stream:
            if 300 <= stream.status <= 399:
                raise _Useless("redirected")
            if stream.status != 200:
                raise (_Useless if stream.status in _GONE else _NotNow)("not_served")
            if stream.headers.get("content-encoding", "identity") != "identity":
                raise _Useless("encoded")
            yield from stream.chunks()

    def _read(self, key: str) -> Winner | None:
        try:
            chunks = self.store.open(key)
        except LookupError:
            return None
        raw = b""
        for chunk in chunks:
            raw += chunk
            if len(raw) > MANIFEST_BYTES_MAX:
                raise StoreUnavailable("a manifest is too large")
        return _winner(raw)

    def _write_once(self, key: str, winner: Winner) -> Winner:
        """Write a manifest; what is there afterwards, by whomever."""
        self.store.put_once(key, io.BytesIO(json.dumps(asdict(winner)).encode()), _JSON)
        found = self._read(key)
        if found is None:
            raise StoreUnavailable("a manifest that was written is not there")
        return found


def _winner(raw: bytes) -> Winner:
    try:
        loaded = json.loads(raw)
        return Winner(int(loaded["number"]), tuple(Stored(**one) for one in loaded["files"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise StoreUnavailable("a manifest cannot be read") from None


def _ordered(generation: Generation) -> int:
    number = generation.request.get("generation_output_number")
    return int(number) if isinstance(number, (int, float)) else 1


def _receive(chunks: Iterable[bytes], into: IO[bytes], key: str, media_type: str, bytes_max: int) -> Stored:
    """Write *chunks*, and leave *into* at its beginning. The first bytes must be of *media_type*."""
    digest, size, head, known = hashlib.sha256(), 0, b"", False
    for chunk in chunks:
        size += len(chunk)
        if size > bytes_max:
            raise _Useless("too_large")
        if not known:
            head += chunk[: SNIFF_BYTES - len(head)]
            known = len(head) >= SNIFF_BYTES
            if known and media_type_of(head) != media_type:
                # At once: the rest may be long.
                raise _Useless("wrong_content")
        digest.update(chunk)
        into.write(chunk)
    if media_type_of(head) != media_type:
        raise _Useless("wrong_content")
    into.seek(0)
    return Stored(key, media_type, size, digest.hexdigest())


def _inline(url: str) -> Iterator[bytes]:
    """The bytes of a ``data:`` address in base64; what its type says is not believed."""
    head, _, encoded = url.partition(",")
    if not head.endswith(";base64"):
        raise _Useless("malformed")
    step = 4 * 16_384
    try:
        for at in range(0, len(encoded), step):
            yield base64.b64decode(encoded[at : at + step], validate=True)
    except (binascii.Error, ValueError):
        raise _Useless("malformed") from None
