"""The views of files: uploads, and the way to every file of an account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flask import Response, request

from sample_app import files
from sample_app.artifact_pipeline import FileRefused
from sample_app.clock import rfc3339
from sample_app.config import BODY_BYTES_MAX, UPLOAD_MEDIA_TYPES
from sample_app.errors import ApiError, ErrorCode
from sample_app.requests import read_query
from sample_app.responses import success
from sample_app.signing import LINK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sample_app.access_control import Principal
    from sample_app.artifact_pipeline import ArtifactPipeline
    from sample_app.clock import Clock
    from sample_app.database import Database
    from sample_app.signing import Signing

_CHUNK_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class FileViews:
    """Files of an account."""

    database: Database
    artifacts: ArtifactPipeline
    signing: Signing
    clock: Clock

    def upload(self, principal: Principal) -> Response:
        """Store an input file: the body is the file itself."""
        read_query(request.args, ())
        if request.mimetype not in UPLOAD_MEDIA_TYPES:
            raise ApiError(
                ErrorCode.UNSUPPORTED_MEDIA_TYPE, f"The body must be declared as {', '.join(UPLOAD_MEDIA_TYPES)}."
            )
        file_id = files.new_id()
        key = f"{principal.account_id}/uploads/{file_id}"
        try:
            stored = self.artifacts.put(key, _chunks(), request.mimetype, BODY_BYTES_MAX)
        except FileRefused as refused:
            too_large = refused.too_large
            raise ApiError(ErrorCode.PAYLOAD_TOO_LARGE if too_large else ErrorCode.FILE_REFUSED) from None
        with self.database.writing() as connection:
            file = files.add_upload(connection, file_id, principal.account_id, stored, self.clock())
        shown = {
            "file_id": file.file_id,
            "media_type": file.media_type,
            "bytes": file.bytes,
            "sha256": file.sha256,
            "expires_at": rfc3339(file.expires_at or 0),
        }
        response = success(shown, 201)
        response.headers["Location"] = f"/v1/files/{file_id}"
        return response

    def download(self, principal: Principal, file_id: str) -> Response:
        """Send the account to an address that serves the file for a while."""
        # A moment without a signature says nothing.
        read_query(request.args, ("expires",))
        file = self._find(file_id)
        if file is None or file.account_id != principal.account_id:
            raise ApiError(ErrorCode.FILE_NOT_FOUND)
        link = self.artifacts.link(file.storage_key, LINK_SECONDS)
        response = Response(status=302)
        response.headers["Location"] = link or self.signing.address(file_id, LINK_SECONDS)
        return response

    def serve(self, file_id: str) -> Response:
        """The file, for whoever has an address that was handed out."""
        query = read_query(request.args, ("expires", "signature"))
        if not self.signing.opens(file_id, query.get("expires", ""), query.get("signature", "")):
            challenge = {"WWW-Authenticate": 'signature realm="control-plane"'}
            raise ApiError(ErrorCode.INVALID_SIGNATURE, headers=challenge)
        file = self._find(file_id)
        if file is None:
            raise ApiError(ErrorCode.FILE_NOT_FOUND)
        try:
            chunks = self.artifacts.open(file.storage_key)
        except LookupError:
            raise ApiError(ErrorCode.FILE_NOT_FOUND) from None
        response = Response(chunks, content_type=file.media_type)
        response.content_length = file.bytes
        # What providers and customers send is shown as what it was found to be, and as nothing else.
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Content-Disposition"] = "attachment"
        return response

    def _find(self, file_id: str) -> files.File | None:
        with self.database.reading() as connection:
            return files.find(connection, file_id, self.clock())


def _chunks() -> Iterator[bytes]:
    while chunk := request.stream.read(_CHUNK_BYTES):
        yield chunk
