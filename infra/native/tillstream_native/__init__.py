"""The native stack: PostgreSQL, Kafka and the services as plain processes, without containers."""
