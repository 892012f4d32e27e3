"""The HTTP door: checks bodies against the contracts and publishes them to Kafka."""
