"""Durable and shared state: the private folder, and what is kept in it."""
