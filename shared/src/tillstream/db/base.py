"""What all tables have in common: one schema, one metadata, one way of naming constraints."""

from typing import ClassVar

from sqlalchemy import MetaData
from sqlmodel import SQLModel

SCHEMA = "shop"
NAMING = {
    "pk": "%(table_name)s_pkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "fk": "%(table_name)s_%(column_0_name)s_fkey",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
}


class Table(SQLModel):
    """The base of every table here: one metadata, one schema, one way of naming constraints."""

    metadata: ClassVar[MetaData] = MetaData(schema=SCHEMA, naming_convention=NAMING)
