"""Requests to machines that are not ours: checked addresses, hard time limits, bounded answers, no redirects."""
