"""The managed layer: rule sets that others keep, first of all the OWASP Core Rule Set."""

from bsguard.managed.layer import Managed as Managed
