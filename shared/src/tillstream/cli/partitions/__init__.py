"""`tillstream partitions`: how far each partition is, and what an operator decides about it."""
