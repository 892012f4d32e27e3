"""What crosses a border: one rule set for three doors (HTTP bodies, Kafka values, CSV rows)."""
