"""Files in S3, or in what speaks like it: for several machines. Needs the ``s3`` extra (obstore).

Credentials, region and endpoint come from the usual ``AWS_…`` variables; the bucket must support conditional writes
(``If-None-Match``), as Amazon's, Cloudflare's and MinIO's do.
"""

from __future__ import annotations

from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any, Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import S3Store

from sample_app.artifacts.store import CHUNK_BYTES, StoreUnavailable, checked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obstore.store import ObjectStore

# A conditional write sends the file in one piece, from memory. Larger ones go in parts; their keys hold their digest,
# so that whoever writes such a key writes the same bytes.
WHOLE_BYTES_MAX: Final = 8 * 1024 * 1024
_PARTS_AT_ONCE: Final = 2


class S3:
    """The storage: one bucket, below a prefix. *store* takes obstore's place of a bucket, for tests."""

    def __init__(self, url: str, store: ObjectStore | None = None, **options: Any) -> None:
        """Remember the bucket; nothing is asked yet."""
        self._store = store if store is not None else S3Store.from_url(url, **options)

    def put_once(self, key: str, content: IO[bytes], media_type: str) -> bool:
        """Write under the condition that nothing is there."""
        head = content.read(WHOLE_BYTES_MAX + 1)
        attributes: Any = {"Content-Type": media_type, "Content-Disposition": "attachment"}
        try:
            if len(head) <= WHOLE_BYTES_MAX:
                obstore.put(self._store, checked(key), head, mode="create", attributes=attributes)
                return True
            if self._exists(key):
                return False
            parts = _rest(head, content)
            obstore.put(self._store, checked(key), parts, attributes=attributes, max_concurrency=_PARTS_AT_ONCE)
        except AlreadyExistsError:
            return False
        except (BaseError, OSError):
            # What the storage says may hold the bucket's address and the request; it is not for an answer.
            raise StoreUnavailable("the storage does not answer") from None
        return True

    def open(self, key: str) -> Iterator[bytes]:
        """The bytes, as they come."""
        try:
            found = obstore.get(self._store, checked(key))
        except (NotFoundError, FileNotFoundError):
            raise LookupError from None
        except (BaseError, OSError):
            raise StoreUnavailable("the storage does not answer") from None
        return (bytes(chunk) for chunk in found.stream(min_chunk_size=CHUNK_BYTES))

    def link(self, key: str, seconds: int) -> str | None:
        """A presigned address."""
        if not isinstance(self._store, S3Store):
            return None
        return obstore.sign(self._store, "GET", checked(key), timedelta(seconds=seconds))

    def delete(self, key: str) -> None:
        """Remove the object."""
        try:
            obstore.delete(self._store, checked(key))
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError):
            raise StoreUnavailable("the storage does not answer") from None

    def _exists(self, key: str) -> bool:
        try:
            obstore.head(self._store, checked(key))
        except (NotFoundError, FileNotFoundError):
            return False
        return True


def _rest(head: bytes, content: IO[bytes]) -> Iterator[bytes]:
    yield head
    while chunk := content.read(CHUNK_BYTES):
        yield chunk
