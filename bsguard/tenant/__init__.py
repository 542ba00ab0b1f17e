"""The tenant layer: identity comes from the application, and each surface keeps to itself."""

from bsguard.tenant.layer import Tenant as Tenant
