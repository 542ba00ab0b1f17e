"""The servers under test: each a set of guard settings and gunicorn settings that differ from the defaults, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

WORKERS = ("sync", "gthread")

SURFACES = [
    {"name": "api", "kind": "api", "hosts": ["api.test"], "prefixes": ["/v1"]},
    {"name": "web", "kind": "web", "hosts": ["www.test"]},
]
# These tests are about what is well-formed. A well-formed attack is refused by the waf layer, which has its own.
LAYERS = ["protocol", "limiter", "managed", "contract", "session", "tenant"]
# All requests come from one address, more of them than any client has reason to send.
UNLIMITED = {"MODE": "enforce", "LIMITER_GLOBAL_RATE": "1000000/second", "LAYERS": LAYERS}
ENFORCE = {**UNLIMITED, "SURFACES": SURFACES}


@dataclass(frozen=True)
class Profile:
    """`guard` is None where the app stands bare; `gunicorn` goes on top of `gunicorn_settings.py`."""

    guard: Mapping[str, Any] | None = field(default_factory=lambda: ENFORCE)
    gunicorn: Mapping[str, Any] = field(default_factory=dict)


PROFILES = {
    # The defaults of both, enforcing.
    "main": Profile(),
    # Without a guard: shows that what we claim to refuse would otherwise reach the app.
    "bare": Profile(guard=None),
    # Watching only.
    "monitor": Profile(guard={**ENFORCE, "MODE": "monitor"}),
    # No surface declared, so any host and any path: for requests that were not written for our hosts.
    "open": Profile(guard=UNLIMITED),
    # The server's limits out of the way, so that ours are seen.
    "wide": Profile(
        gunicorn={"limit_request_line": 0, "limit_request_fields": 2000, "limit_request_field_size": 262_144}
    ),
    # `X_Account_Id` and `X-Account-Id` become one key.
    "merging": Profile(gunicorn={"header_map": "dangerous"}),
    # What the documentation advises.
    "advised": Profile(
        gunicorn={"header_map": "refuse", "forwarder_headers": "", "forwarded_allow_ips": "", "http_parser": "python"}
    ),
    # A reverse proxy on the same machine, declared.
    "proxied": Profile(guard={**ENFORCE, "TRUSTED_PROXIES": ["127.0.0.1/32"]}),
    # Peers that are not loopback, by way of the PROXY protocol; gunicorn still trusts the socket's own peer.
    "remote": Profile(gunicorn={"proxy_protocol": True}),
    # Small limits, so that few bytes reach them.
    "small": Profile(guard={**ENFORCE, "BODY_BYTES_MAX": 8192, "INSPECT_BYTES_MAX": 1024}),
    # A document, and this layer alone: what other layers would refuse before it is what it must get right by itself.
    "contract": Profile(
        guard={
            **UNLIMITED,
            "LAYERS": ["contract"],
            "CONTRACT_DOCUMENTS": [str(Path(__file__).parent / "contract.yaml")],
            "CONTRACT_FALLTHROUGH_ACTIONS": {"/**": "block"},
        }
    ),
    # A server that soon gives up on a slow client.
    "impatient": Profile(gunicorn={"timeout": 2}),
}
