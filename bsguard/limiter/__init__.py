"""The limiter layer: how often, by whom, and who has to wait."""

from bsguard.limiter.layer import Limiter as Limiter
