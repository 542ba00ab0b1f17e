"""Webhooks: the signatures on them, and those that go out to customers."""
