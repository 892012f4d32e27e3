"""The engine: a batch of changes in, one outcome per message out, in one transaction."""
