"""Kafka behind thin ports: producer lanes, the fenced consumer loop, topics, and the in-memory double."""
