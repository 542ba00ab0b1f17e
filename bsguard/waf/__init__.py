"""The WAF layer: guardrail rules of our own, on the engine of :mod:`bsguard.seclang`."""

from bsguard.waf.layer import Waf as Waf
