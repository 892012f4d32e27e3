"""Answers questions from views, read-only."""
