"""Simulated providers: real HTTP servers on this machine that speak real providers' dialects and fail as told.

They stand in for Replicate, fal and OpenRouter in the tour and in tests. Nothing in the control plane knows them:
an adapter is pointed at one by its address, like at the real service.
"""
