"""The protocol layer: only well-formed, unambiguous HTTP goes on."""

from bsguard.protocol.layer import Protocol as Protocol
