"""Loads dropped files: one job after the other, chunk by chunk, from the claim in `work/` to its statement.

`python -m etl_worker.file_loader` runs it, as a process of its own, so that a file of gigabytes delays no event.
"""
