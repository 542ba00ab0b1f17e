"""The artifact pipeline at work: fetching outputs, telling what they are, and keeping them in a folder or in S3."""
