"""`tillstream quarantine` against a real database: what is shown, asked for and answered; and that nothing else happens."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from support.postgres import Database
from tillstream.cli.quarantine import entries, reading, wishing
from tillstream.contracts.entities import Entity
from tillstream.contracts.outcomes import OutcomeKind
from tillstream.testing.builders import event_item, order_item, product_item, user_item
from tillstream.testing.waiting import eventually

from .conftest import Shop, Tillstream

pytestmark = pytest.mark.integration

REQUESTS = "SELECT quarantine_id, payload, requested_by FROM shop.replay_requests ORDER BY id"


def broken_product(number: int) -> dict[str, Any]:
    return product_item(product_id=number, price="-1")


async def refuse(shop: Shop, count: int = 3, source: str = "shop") -> list[int]:
    """That many products with a price below zero; the ids of all open entries."""
    for number in range(1, count + 1):  # one by one: the entries of a batch are numbered by their message ids
        await shop.apply(Entity.PRODUCT, broken_product(number), source=source)
    return [
        row[0]
        for row in await shop.rows("SELECT id FROM shop.quarantine WHERE resolved_at IS NULL ORDER BY id")
    ]


async def everything(shop: Shop) -> list[tuple[Any, ...]]:
    """All that a command could have changed."""
    found = []
    for table in ("quarantine", "replay_requests", "products", "users", "changes", "parked"):
        found += await shop.rows(f"SELECT t::text FROM shop.{table} AS t ORDER BY 1")
    return found


async def test_entries_are_listed_oldest_first_and_filtered(tillstream: Tillstream, shop: Shop) -> None:
    ids = await refuse(shop, 2, source="acme")
    await shop.apply(Entity.USER, b"\xff\x1b[2J")

    lines = (await tillstream("quarantine", "list")).out.splitlines()
    assert [line.split()[0] for line in lines] == ["id", *map(str, ids), str(ids[-1] + 1)]
    assert "negative_amount  acme" in lines[1]
    assert lines[1].endswith("shop.products.v1[3]@1  price must not be below zero.")
    for chosen in ("--reason=malformed_json", "--source=shop", "--entity=user", "--topic=shop.users.v1"):
        assert len((await tillstream("quarantine", "list", chosen)).out.splitlines()) == 2
    for nobody in (
        "--since=2999-01-01",
        "--job=0190163d-8694-7394-8a1c-1d2d3b2c5aff",
        "--reason=id_conflict",
    ):
        assert (await tillstream("quarantine", "list", nobody)).out == "No open entry matches.\n"
    assert (await tillstream("quarantine", "list", "--since=2000-01-01")).out.count("\n") == 4


async def test_groups_are_counted_by_reason_and_source(tillstream: Tillstream, shop: Shop) -> None:
    await refuse(shop, 3, source="acme")
    await refuse(shop, 2)
    lines = (await tillstream("quarantine", "list", "--group")).out.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        ["3", "negative_amount", "acme"],
        ["2", "negative_amount", "shop"],
    ]
    assert len((await tillstream("quarantine", "list", "--group", "--source", "acme")).out.splitlines()) == 2


async def test_a_limit_says_that_more_matched_and_where_to_go_on(
    tillstream: Tillstream, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "PAGE_ENTRIES", 2)
    ids = await refuse(shop, 5)
    first = await tillstream("quarantine", "list", "--limit", "3")
    assert first.out.splitlines()[-1] == reading.more_sentence(3, ids[2])
    rest = await tillstream("quarantine", "list", "--limit", "3", "--after", str(ids[2]))
    assert [line.split()[0] for line in rest.out.splitlines()] == ["id", *map(str, ids[3:])]

    said = await tillstream("quarantine", "replay", "--source", "shop", "--limit", "3", "--by", "ann")
    assert said.out.splitlines()[-1] == reading.more_sentence(3, ids[2])
    assert [row[0] for row in await shop.rows(REQUESTS)] == ids[:3]


async def test_one_entry_is_shown_with_its_payload_and_requests(tillstream: Tillstream, shop: Shop) -> None:
    await shop.apply(Entity.USER, b"\xff\x1b[2J")
    [(entry_id,)] = await shop.rows("SELECT id FROM shop.quarantine")
    await tillstream("quarantine", "replay", str(entry_id), "--by", "ann")
    said = await tillstream("quarantine", "show", str(entry_id))
    assert f"entry      {entry_id}: open, and a request for it is not answered yet\n" in said.out
    assert "\n\\xff\\x1b[2J\n" in said.out
    assert said.out.splitlines()[-1].split()[2:4] == ["replay", "ann"]
    missing = await tillstream("quarantine", "show", "999")
    assert (missing.code, missing.err) == (
        2,
        "tillstream: ID must be that of an entry, and there is no entry 999.\n",
    )


async def test_a_patch_is_asked_for_answered_and_applied_under_the_first_id(
    tillstream: Tillstream, shop: Shop
) -> None:
    ids = await refuse(shop)
    before = await shop.rows("SELECT message_id, version FROM shop.quarantine ORDER BY id")

    said = await tillstream(
        "quarantine", "fix", "--reason=negative_amount", "--patch", '{"price": 2.50}', "--by=ann"
    )
    requests = [row[0] for row in await shop.rows("SELECT id FROM shop.replay_requests ORDER BY id")]
    assert said.out == f"Requested for 3 entries by ann, as {', '.join(map(str, requests))}.\n"
    assert await shop.rows("SELECT count(*) FROM shop.products") == [(0,)]
    await shop.replay()

    assert await shop.rows("SELECT price::text FROM shop.products") == [("2.50",)] * 3
    assert await shop.rows("SELECT message_id, version FROM shop.changes ORDER BY message_id") == sorted(
        before
    )
    trail = (await tillstream("quarantine", "requests")).out.splitlines()
    assert [line.split()[1:4] for line in trail[1:]] == [[str(each), "fix", "ann"] for each in reversed(ids)]
    assert all(line.split()[6] == "stored" for line in trail[1:])
    assert (await tillstream("quarantine", "list")).out == "No open entry matches.\n"


async def test_an_entry_that_a_patch_does_not_fit_is_named_and_the_others_go_on(
    tillstream: Tillstream, shop: Shop
) -> None:
    hostile = rb'{"name":"\ud800","price":' + b"[" * 1_500 + b"]" * 1_500 + b"}"
    for payload in (rb'{"product_id":1,"name":"\ud800","category":"x","price":-1}', hostile):
        await shop.apply(Entity.PRODUCT, payload)
    lossy, deep, *good = await refuse(shop)

    said = await tillstream("quarantine", "fix", "--all", "--patch", '{"price": 2.50}', "--by=ann")

    assert [line.split(" (")[0] for line in said.out.splitlines()[:2]] == [
        f"{number}: a patch would change more of its payload than it names" for number in (lossy, deep)
    ]
    assert (said.code, said.err) == (0, "")
    assert [row[0] for row in await shop.rows(REQUESTS)] == good


async def test_an_edited_export_is_applied_and_what_nobody_edited_is_left(
    tillstream: Tillstream, shop: Shop, tmp_path: Path
) -> None:
    ids = await refuse(shop)
    export = tmp_path / "refused.ndjson"
    said = await tillstream("quarantine", "export", "--all", "--to", str(export))
    assert (said.code, said.out, said.err) == (0, "", "3 entries exported.\n")
    assert export.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in export.read_text().splitlines()]
    assert [line["payload"] for line in lines] == [broken_product(number) for number in (1, 2, 3)]
    assert (await tillstream("quarantine", "export", *map(str, ids))).out == export.read_text()
    assert (await tillstream("quarantine", "export", "--all", "--to", str(export))).code == 2

    lines[1]["payload"]["price"] = "3.00"
    export.write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = await tillstream("quarantine", "fix", "--file", str(export), "--by", "ann")
    assert "2 entries are as before" in said.out
    assert "Requested for 1 entry by ann" in said.out
    assert [row[0] for row in await shop.rows(REQUESTS)] == [ids[1]]
    await shop.replay()
    assert await shop.rows("SELECT product_id, price::text FROM shop.products") == [(2, "3.00")]


async def test_a_file_with_an_unknown_entry_asks_for_nothing(
    tillstream: Tillstream, shop: Shop, tmp_path: Path
) -> None:
    [one, *_] = await refuse(shop)
    (tmp_path / "edited").write_text(f'{{"id":{one},"payload":{{"a":1}}}}\n{{"id":999,"payload":{{}}}}\n')
    said = await tillstream("quarantine", "fix", "--file", str(tmp_path / "edited"))
    assert said.code == 2
    assert "there is no entry 999" in said.err
    assert await shop.rows(REQUESTS) == []


async def test_a_dry_run_tells_each_entry_and_changes_nothing(tillstream: Tillstream, shop: Shop) -> None:
    await shop.apply(Entity.USER, user_item())
    await shop.apply(Entity.ORDER, order_item(user_id=7, status="lost"))
    await shop.apply(Entity.EVENT, event_item(product_id=None, event_type="page_veiw"))
    await refuse(shop, 1)
    await shop.apply(Entity.PRODUCT, b"7")
    order, event, product, number = [
        row[0] for row in await shop.rows("SELECT id FROM shop.quarantine ORDER BY id")
    ]
    before = await everything(shop)

    patch = '{"status": "paid"}'
    said = await tillstream("quarantine", "fix", "--all", "--patch", patch, "--dry-run")

    assert said.out.splitlines() == [
        f"{order}: would wait for user 7",
        f"{event}: would be refused again (invalid_event_type): event_type must be one of page_view, add_to_cart, purchase.",
        f"{product}: would be refused again (negative_amount): price must not be below zero.",
        f"{number}: its payload is not a JSON object, so that a patch does not fit; edit an export",
        "",
        "4 entries: left out 1, parked 1, quarantined 2. Nothing was changed.",
    ]
    told = await tillstream(
        "quarantine", "fix", str(event), "--patch", '{"event_type":"page_view"}', "--dry-run"
    )
    assert f"{event}: would be accepted\n" in told.out
    assert await everything(shop) == before


async def test_who_asks_twice_is_told_and_asks_once(tillstream: Tillstream, shop: Shop) -> None:
    [one, two] = await refuse(shop, 2)
    assert (await tillstream("quarantine", "replay", str(one), "--by", "ann")).code == 0
    said = await tillstream("quarantine", "replay", "--all", "--by", "bob")
    assert f"{one}: is requested already, and not answered yet\n" in said.out
    assert await shop.rows(REQUESTS) == [(one, None, "ann"), (two, None, "bob")]
    await shop.replay()
    await tillstream("quarantine", "fix", str(one), "--patch", '{"price":1}', "--by", "ann")
    await shop.replay()
    settled = await tillstream("quarantine", "replay", str(one))
    assert settled.out == f"{one}: is settled already (stored)\nNothing was requested.\n"


async def test_people_who_ask_at_the_same_moment_ask_once_for_each_entry(
    tillstream: Tillstream, shop: Shop
) -> None:
    ids = await refuse(shop, 20)
    await asyncio.gather(*(tillstream("quarantine", "replay", "--all", "--by", f"p{n}") for n in range(4)))
    assert [row[0] for row in await shop.rows(REQUESTS)] == ids
    assert len({row[2] for row in await shop.rows(REQUESTS)}) == 1


async def test_waiting_prints_the_answers(tillstream: Tillstream, shop: Shop) -> None:
    ids = await refuse(shop, 2)
    asking = asyncio.create_task(tillstream("quarantine", "replay", "--all", "--wait", "30"))
    await eventually(shop.replay)
    said = await asking
    assert said.code == wishing.EXIT_NOT_MET
    assert [f"{each}: quarantined (negative_amount)" for each in ids] == said.out.splitlines()[1:3]
    assert said.out.splitlines()[3:] == [
        "2 of 2 requests answered: quarantined 2.",
        "2 records were refused again; `tillstream quarantine list` shows what is wrong now.",
    ]


async def test_waiting_names_the_entry_of_a_new_payload_that_was_refused_too(
    tillstream: Tillstream, shop: Shop
) -> None:
    [first] = await refuse(shop, 1)
    mended = ("quarantine", "fix", str(first), "--patch", '{"price": "x"}', "--wait", "30")
    asking = asyncio.create_task(tillstream(*mended))
    await eventually(shop.replay)
    said = await asking
    [(second,)] = await shop.rows("SELECT id FROM shop.quarantine WHERE resolved_at IS NULL")
    assert second != first
    assert said.out.splitlines()[1] == f"{first}: quarantined (invalid_amount), now as entry {second}"


async def test_waiting_ends_well_where_all_is_applied(tillstream: Tillstream, shop: Shop) -> None:
    await refuse(shop, 2)
    mended = ("quarantine", "fix", "--all", "--patch", '{"price": 1.50}', "--wait", "30")
    asking = asyncio.create_task(tillstream(*mended))
    await eventually(shop.replay)
    said = await asking
    assert (said.code, said.out.splitlines()[-1]) == (0, "2 of 2 requests answered: stored 2.")


async def test_waiting_ends_at_its_deadline(tillstream: Tillstream, shop: Shop) -> None:
    await refuse(shop, 1)
    said = await tillstream("quarantine", "replay", "--all", "--wait", "1")
    assert said.code == wishing.EXIT_NOT_MET
    assert "0 of 1 request answered" in said.out
    assert "After 1 s the others wait for etl-worker" in said.out
    assert len((await tillstream("quarantine", "requests", "--open")).out.splitlines()) == 2


async def test_requests_are_filtered_and_paged(tillstream: Tillstream, shop: Shop) -> None:
    ids = await refuse(shop, 3)
    await tillstream("quarantine", "replay", str(ids[0]), "--by", "ann")
    await tillstream("quarantine", "replay", *map(str, ids[1:]), "--by", "bob")

    async def listed(*arguments: str) -> list[str]:
        lines = (await tillstream("quarantine", "requests", *arguments)).out.splitlines()
        return [line.split()[1] for line in lines[1:] if line.lstrip()[:1].isdigit()]

    assert await listed() == [str(each) for each in reversed(ids)]
    assert await listed("--by", "ann") == [str(ids[0])]
    assert await listed("--entry", str(ids[1])) == [str(ids[1])]
    assert await listed("--since", "2999-01-01") == []
    first = await tillstream("quarantine", "requests", "--limit", "2")
    before = (
        first.out.splitlines()[-1]
        .removeprefix("There are older ones: go on with --before ")
        .removesuffix(".")
    )
    assert await listed("--before", before) == [str(ids[0])]
    await shop.replay()
    assert await listed("--open") == []


async def test_another_role_is_refused_in_one_sentence(
    tillstream: Tillstream, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TILLSTREAM_OPERATOR_DATABASE_URL", database.reader_dsn)
    said = await tillstream("quarantine", "list")
    assert said.code == 1
    assert said.err.count("\n") == 1


async def test_a_replay_of_what_became_right_is_stored(tillstream: Tillstream, shop: Shop) -> None:
    await shop.apply(Entity.USER, user_item(user_id=1, email="a@example.org"))
    await shop.apply(Entity.USER, user_item(user_id=2, email="A@example.org"))
    told = await tillstream("quarantine", "replay", "--reason=duplicate_email", "--dry-run")
    assert "would be refused again (duplicate_email): User 1 holds this e-mail address." in told.out
    await shop.apply(
        Entity.USER, user_item(user_id=1, email="b@example.org", updated_at="2024-06-01T12:01:00Z")
    )
    told = await tillstream("quarantine", "replay", "--reason=duplicate_email", "--dry-run")
    assert "would be accepted" in told.out
    await tillstream("quarantine", "replay", "--reason=duplicate_email")
    [applied] = await shop.replay()
    assert applied.outcome is OutcomeKind.STORED


async def test_a_row_of_a_file_is_left_to_its_rejects_file_or_gets_a_payload(
    tillstream: Tillstream, shop: Shop, tmp_path: Path
) -> None:
    [entry_id] = await refuse(shop, 1)
    await shop.rows(
        "UPDATE shop.quarantine SET job_id = message_id, line = 2, payload = '1,Lamp,Home,-1' RETURNING id"
    )
    said = await tillstream("quarantine", "replay", "--all")
    assert said.out.startswith(f"{entry_id}: is a row of a CSV file: correct it in its rejects file")
    assert await shop.rows(REQUESTS) == []
    line = json.loads((await tillstream("quarantine", "export", str(entry_id))).out)
    del line["payload_base64"]
    (tmp_path / "edited").write_text(json.dumps({**line, "payload": product_item()}))
    await tillstream("quarantine", "fix", "--file", str(tmp_path / "edited"))
    [applied] = await shop.replay()
    assert applied.outcome is OutcomeKind.STORED
