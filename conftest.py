"""Fixtures for every test here, split by concern under tests/support/."""

pytest_plugins = [
    "support.environment",
    "support.order",
    "support.places",
    "support.postgres",
    "support.kafka",
    "support.stack",
    "support.shop",
    "support.prometheus",
]
