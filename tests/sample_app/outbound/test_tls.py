"""TLS: the certificate must be the name's, though the connection goes to the number that was checked."""

from __future__ import annotations

import datetime
import http.server
import ssl
import threading
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sample_app.outbound.addresses import Reach
from sample_app.outbound.exchange import Bounds, NotSent, Outbound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def certificate(folder: Path, name: str) -> Path:
    """A certificate for *name*, signed by itself, with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server with a certificate for hooks.example that this process trusts."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_words: object) -> None:
            pass

    trusted = certificate(tmp_path, "hooks.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


OUTBOUND = Outbound(Reach(private=True), Bounds(total_seconds=5.0), lambda _host, _port: ("127.0.0.1",))


def test_the_name_in_the_address_is_the_certificates(port: int) -> None:
    assert OUTBOUND.exchange("GET", f"https://hooks.example:{port}/", {}).body == b"ok"


@pytest.mark.parametrize("host", ["other.example", "127.0.0.1", "hooks.example.evil.example"])
def test_another_name_is_not_sent_anything(port: int, host: str) -> None:
    with pytest.raises(NotSent) as caught:
        OUTBOUND.exchange("GET", f"https://{host}:{port}/", {"Authorization": "secret"})

    assert caught.value.why == "unreachable"


def test_a_certificate_that_nobody_vouches_for_is_not_believed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(NotSent):
        OUTBOUND.exchange("GET", f"https://hooks.example:{port}/", {})
