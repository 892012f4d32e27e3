"""Claims dropped files and emits file jobs."""
