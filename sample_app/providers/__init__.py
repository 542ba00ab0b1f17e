"""Providers: one adapter for each, all behind the protocol in ``port``. No provider's words leave this package."""
