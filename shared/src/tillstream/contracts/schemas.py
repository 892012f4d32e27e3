"""What people and tools read about the contracts, made from the contracts: JSON Schema and the docs page."""

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import TypeAdapter

from tillstream.contracts.csv_rows import csv_columns
from tillstream.contracts.entities import TOPIC_OF, Entity
from tillstream.contracts.orders import InnerItemRecord
from tillstream.contracts.reasons import SENTENCES
from tillstream.contracts.records import RECORD_TYPES

PAGE_HEAD = """\
# Contracts

One set of rules for HTTP bodies, Kafka values and CSV rows. An optional field may be absent, `null` in JSON or empty in
CSV, which is the same; a field that is not listed is refused. Of several faults the first one in the order below is told.
This page is made by `python docs/pages.py`.
"""
TITLES = {
    Entity.USER: "Users",
    Entity.PRODUCT: "Products",
    Entity.ORDER: "Orders",
    Entity.ORDER_ITEM: "Order items, in a file",
    Entity.EVENT: "Events",
}


def record_schemas(entities: Iterable[Entity], ref_template: str) -> dict[str, Any]:
    """The JSON Schemas of these records and of what they hold, by name; they refer to each other by `ref_template`."""
    adapters = [(entity, "validation", TypeAdapter(RECORD_TYPES[entity])) for entity in entities]
    _, schema = TypeAdapter.json_schemas(adapters, ref_template=ref_template)  # type: ignore[arg-type]
    return dict(schema["$defs"])


def contracts_page() -> str:
    """The docs page: a table for each kind of record, then the reasons for refusals."""
    parts = [PAGE_HEAD]
    for entity in Entity:
        parts += [f"## {TITLES[entity]}\n", f"{_ways_in(entity)}\n", _fields_table(RECORD_TYPES[entity])]
        if entity is Entity.ORDER:
            parts += ["Each of its `items`:\n", _fields_table(InnerItemRecord)]
    reasons = [[f"`{reason}`", sentence] for reason, sentence in SENTENCES.items()]
    parts += ["## Reasons\n", _table(["Reason", "Meaning"], reasons)]
    return "\n".join(parts)


def _ways_in(entity: Entity) -> str:
    required, optional = csv_columns(entity)
    topic = f"Topic `{TOPIC_OF[entity]}`. " if entity in TOPIC_OF else ""
    columns = ", ".join(f"`{name}`" for name in required)
    return f"{topic}CSV columns {columns}; optional {', '.join(f'`{name}`' for name in optional)}."


def _fields_table(record: Any) -> str:
    schema = TypeAdapter(record).json_schema()
    rows = [
        [f"`{name}`", "yes" if name in schema["required"] else "", field["description"]]
        for name, field in schema["properties"].items()
    ]
    return _table(["Field", "Required", "Rule"], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
