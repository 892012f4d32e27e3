"""Alembic's revisions, each beside the SQL that it runs."""
