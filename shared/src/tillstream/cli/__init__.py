"""The `tillstream` command: what an operator runs by hand."""
