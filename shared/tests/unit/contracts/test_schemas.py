"""The published schemas allow what the contracts accept, and the docs page names every field and reason."""

import json
from decimal import Decimal
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillstream.contracts.entities import Entity
from tillstream.contracts.parsing import dump_json
from tillstream.contracts.reasons import Reason
from tillstream.contracts.records import FIELDS, RECORD_TYPES
from tillstream.contracts.schemas import contracts_page, record_schemas
from tillstream.testing.builders import BUILD
from tillstream.testing.strategies import QUICK, items

pytestmark = pytest.mark.unit


@cache
def validator(entity: Entity) -> jsonschema_rs.Validator:
    schemas = record_schemas(Entity, "#/$defs/{model}")
    name = RECORD_TYPES[entity].__name__
    return jsonschema_rs.validator_for({"$defs": schemas, "$ref": f"#/$defs/{name}"})


@pytest.mark.parametrize("entity", Entity)
@QUICK
@given(data=st.data())
def test_schema_allows_every_valid_record(entity: Entity, data: st.DataObject) -> None:
    item = json.loads(dump_json(data.draw(items(entity))), parse_float=Decimal)
    assert [error.message for error in validator(entity).iter_errors(item)] == []


@pytest.mark.parametrize(
    ("entity", "fields"),
    [
        (Entity.USER, {"user_id": 0}),
        (Entity.USER, {"email": "nobody"}),
        (Entity.USER, {"signup_date": "2024-01-05T24:00"}),
        (Entity.USER, {"colour": 1}),
        (Entity.PRODUCT, {"price": "-1"}),
        (Entity.PRODUCT, {"price": -1}),
        (Entity.PRODUCT, {"product_name": ""}),
        (Entity.ORDER, {"status": "refunded"}),
        (Entity.ORDER, {"items": [{}]}),
        (Entity.ORDER_ITEM, {"quantity": -1}),
        (Entity.EVENT, {"event_type": "click"}),
        (Entity.EVENT, {"event_id": 17}),
    ],
)
def test_schema_forbids_what_the_contract_refuses(entity: Entity, fields: dict[str, Any]) -> None:
    assert validator(entity).is_valid(BUILD[entity]())
    assert not validator(entity).is_valid(BUILD[entity](**fields))


def test_every_property_is_described() -> None:
    schemas = record_schemas(Entity, "#/$defs/{model}")
    undescribed = [
        (name, field)
        for name, schema in schemas.items()
        for field, member in schema["properties"].items()
        if not member.get("description", "").endswith(".")
    ]
    assert undescribed == []


def test_page_names_every_field_and_reason() -> None:
    page = contracts_page()
    wanted = [name for names in FIELDS.values() for name in names] + list(Reason)
    assert [name for name in wanted if f"| `{name}` |" not in page] == []
