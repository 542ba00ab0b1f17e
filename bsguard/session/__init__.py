"""The session layer: how each credential is used, beyond the address it is used from."""

from bsguard.session.layer import Session as Session
