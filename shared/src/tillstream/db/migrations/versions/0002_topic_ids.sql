-- Kafka's own id of a topic: one that was made anew under the same name is told from its predecessor by it.
ALTER TABLE shop.consumer_offsets ADD COLUMN topic_id UUID;

-- The requests of one entry, newest first, without reading all of them.
CREATE INDEX replay_requests_quarantine_id_id_idx ON shop.replay_requests (quarantine_id, id);
