"""Kinds of abuse, one a file; dropping in a file adds one."""
