"""What every Tillstream service shares: contracts, Kafka, database, apply engine, observation."""
