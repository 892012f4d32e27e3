"""Builders, strategies and doubles for tests; never imported by production code."""
