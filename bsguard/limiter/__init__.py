"""The limiter layer: how often, by whom, and who has to wait."""
