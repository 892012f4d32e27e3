"""A user of the shop."""

from typing import NotRequired, TypedDict

from pydantic import ConfigDict, with_config

from tillstream.contracts.rules import Email, Id, Moment, Text, UpdateMoment


@with_config(ConfigDict(extra="forbid", strict=True))
class UserRecord(TypedDict):
    user_id: Id
    name: Text
    email: Email
    signup_date: Moment
    updated_at: NotRequired[UpdateMoment]
