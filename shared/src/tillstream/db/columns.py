"""Columns and checks as the tables here need them: each call makes a new one."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    Numeric,
    Text,
    Uuid,
    text,
)
from sqlmodel import Field


def one_of(column: str, values: tuple[str, ...], name: str) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})", name=name)


def moment(*, nullable: bool = False, default_now: bool = False) -> Any:
    server_default = text("now()") if default_now else None
    return Field(sa_column=Column(DateTime(timezone=True), nullable=nullable, server_default=server_default))


def big_integer(*, nullable: bool = False, default: str | None = None) -> Any:
    return Field(
        sa_column=Column(
            BigInteger,
            autoincrement=False,
            nullable=nullable,
            server_default=text(default) if default else None,
        )
    )


def long_text(*, nullable: bool = False) -> Any:
    return Field(sa_column=Column(Text, nullable=nullable))


def uuid(*, nullable: bool = False) -> Any:
    return Field(sa_column=Column(Uuid, nullable=nullable))


def raw_bytes(*, nullable: bool = False) -> Any:
    return Field(sa_column=Column(LargeBinary, nullable=nullable))


def money() -> Any:
    return Field(sa_column=Column(Numeric(12, 2), nullable=False))


def integer(*, nullable: bool = True) -> Any:
    return Field(sa_column=Column(Integer, nullable=nullable))
