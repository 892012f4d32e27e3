-- What a person decided about a partition: to let a stopped one go on, or where to go on in a log that the worker refused.
CREATE TABLE shop.partition_decisions (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  topic TEXT NOT NULL,
  kafka_partition SMALLINT NOT NULL,
  decision TEXT NOT NULL,
  from_offset BIGINT,
  to_offset BIGINT,
  why TEXT,
  decided_by TEXT NOT NULL,
  decided_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT partition_decisions_pkey PRIMARY KEY (id),
  CONSTRAINT partition_decisions_decision_check CHECK (decision IN ('resume', 'accept'))
);
