"""Storages to test: a folder, obstore's own in memory, and S3 as an HTTP server on this machine."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from sample_app.artifacts.local_folder import LocalFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sample_app.artifacts.store import Store

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """A server that speaks S3, in this process."""
    server_module = pytest.importorskip("moto.server", reason="moto is not installed")
    server = server_module.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def make_s3(s3_url: str) -> Callable[[], Any]:
    """A storage in a bucket of its own."""

    def make() -> Any:
        from sample_app.artifacts.s3 import S3

        bucket = f"artifacts-{next(_NUMBERS)}"
        options: dict[str, Any] = {
            "endpoint": s3_url,
            "access_key_id": "test",
            "secret_access_key": "test",
            "region": "us-east-1",
            "client_options": {"allow_http": True},
        }
        urllib3.request("PUT", f"{s3_url}/{bucket}", headers={"Authorization": _AUTHORIZATION})
        return S3(f"s3://{bucket}/prefix", **options)

    return make


_AUTHORIZATION = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return LocalFolder(tmp_path / "artifacts")
    if request.param == "memory":
        memory = pytest.importorskip("obstore.store", reason="obstore is not installed").MemoryStore()
        from sample_app.artifacts.s3 import S3

        return S3("", memory)
    made: Store = request.getfixturevalue("make_s3")()
    return made
