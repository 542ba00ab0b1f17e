"""Archetypes of honest customers, one a file; dropping in a file adds one."""
