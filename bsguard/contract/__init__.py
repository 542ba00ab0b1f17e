"""The contract layer: OpenAPI documents, enforced before the application runs."""

from bsguard.contract.layer import Contract as Contract
