"""The only writer of shop data: consumes topics and runs file jobs."""
