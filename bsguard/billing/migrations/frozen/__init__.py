"""Data definitions of released revisions."""
