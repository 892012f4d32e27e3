"""A product of the shop."""

from typing import NotRequired, TypedDict

from pydantic import ConfigDict, with_config

from tillstream.contracts.rules import Amount, Id, Text, UpdateMoment


@with_config(ConfigDict(extra="forbid", strict=True))
class ProductRecord(TypedDict):
    product_id: Id
    product_name: Text
    category: Text
    price: Amount
    updated_at: NotRequired[UpdateMoment]
