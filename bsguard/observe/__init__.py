"""Where events go once they leave the request: stored in batches, off the request path, bounded."""
