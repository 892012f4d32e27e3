"""The checks of a chaos run turn red for every kind of mistake, on a ledger and tables made up by hand."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from faults.checks import Places, check_all
from faults.file_checks import check_files
from faults.files import Desk
from faults.goods import Shop
from faults.hostile import drawn
from faults.ledger import Account, Fate, Filed, Item, Ledger, account_of, read_files, read_ledger
from faults.model import event_row, item_row, model_of, order_row, product_row, user_row
from faults.roads import Road
from faults.tables import Job, Tables
from faults.verdict import Kind, Verdict
from tillstream.contracts.entities import TOPIC_OF, Entity
from tillstream.contracts.envelope import read_record
from tillstream.contracts.ids import new_id
from tillstream.folders import REJECTS_SUFFIX, Folders, stored_name
from tillstream.kafka.records import Place, Record

pytestmark = pytest.mark.unit

PLACE = Place("shop.events.v1", 0)
ENDS = {PLACE: 10}
WHERE: dict[Fate, str] = {fate: str(fate) for fate in Fate if fate is not Fate.RIVAL}


def whole_shop() -> Account:
    """A small load of which everything was acknowledged, with a drop of files and a strike past the doors."""
    shop = Shop("checks", 1_000)
    items = [item for request in shop.requests() for item in request.items if item.fate is not Fate.REFUSED]
    event = next(item for item in items if item.entity is Entity.EVENT and item.fate is Fate.TABLE)
    items += [item for paper in Desk("checks").drop() for item in paper.items]
    items += [each.item for batch in drawn(Random("checks")) for each in batch]
    return Account([*items, *shop.conflict(event).items], [])


def tables_of(account: Account) -> Tables:
    """The tables of a system without a mistake; of two rivals the first one is stored."""
    tables, holders = Tables(offsets=dict(ENDS)), set[str]()
    for item in account.acknowledged:
        place = WHERE.get(item.fate, "table")
        if item.fate is Fate.QUARANTINE:
            tables.refused[item.message_id] = item.content["reason"], item.content["payload"]
        if item.fate is Fate.RIVAL:
            place = "quarantine" if item.content["email"] in holders else "table"
            holders.add(item.content["email"])
        tables.kept.append((item.message_id, place))
        if item.entity is Entity.EVENT and place == "table":
            tables.events[item.message_id] = event_row(item.content)
    model = model_of(account, Places(tables).stored)
    tables.users = {key: user_row(row) for key, row in model.users.items()}
    tables.products = {key: product_row(row) for key, row in model.products.items()}
    tables.orders = {key: order_row(row) for key, row in model.orders.items()}
    tables.items = {key: item_row(row) for key, row in model.items.items()}
    return tables


def judge(spoil: Callable[[Account, Tables], None] = lambda _account, _tables: None) -> Verdict:
    account = whole_shop()
    tables = tables_of(account)
    spoil(account, tables)
    return check_all(account, model_of(account, Places(tables).stored), tables, ENDS)


def an_event(account: Account) -> Item:
    """One that nothing contradicts."""
    events = [
        item for item in account.acknowledged if item.entity is Entity.EVENT and item.fate is Fate.TABLE
    ]
    return events[-1]


def lose(account: Account, tables: Tables) -> None:
    item = an_event(account)
    tables.kept = [each for each in tables.kept if each[0] != item.message_id]
    del tables.events[item.message_id]


def keep_twice(account: Account, tables: Tables) -> None:
    tables.kept.append((an_event(account).message_id, "parked"))


def misplace(account: Account, tables: Tables) -> None:
    item = an_event(account)
    tables.kept = [(each, "quarantine" if each == item.message_id else place) for each, place in tables.kept]
    del tables.events[item.message_id]


def invent(_account: Account, tables: Tables) -> None:
    stranger = uuid4()
    tables.kept.append((stranger, "table"))


def overwrite(_account: Account, tables: Tables) -> None:
    tables.users[1] = ("an older name", tables.users[1][1])


def forget_conflict(_account: Account, tables: Tables) -> None:
    tables.kept = [each for each in tables.kept if each[1] != "conflict"]


def store_both_rivals(account: Account, tables: Tables) -> None:
    ids = {item.message_id for item in account.acknowledged if item.fate is Fate.RIVAL}
    tables.kept = [(each, "table" if each in ids else place) for each, place in tables.kept]


def a_broken_one(account: Account) -> UUID:
    return next(item.message_id for item in account.acknowledged if item.fate is Fate.QUARANTINE)


def drop_a_broken_one(account: Account, tables: Tables) -> None:
    tables.kept.remove((a_broken_one(account), "quarantine"))


def keep_other_bytes(account: Account, tables: Tables) -> None:
    reason, _ = tables.refused[a_broken_one(account)]
    tables.refused[a_broken_one(account)] = reason, "other bytes"


def lag(_account: Account, tables: Tables) -> None:
    tables.offsets[PLACE] = 9


def move_back(_account: Account, tables: Tables) -> None:
    tables.moved_back.append((*PLACE, 8, 5))


def test_a_system_without_a_mistake_holds() -> None:
    verdict = judge()
    assert verdict.holds, verdict.problems


@pytest.mark.parametrize(
    ("spoil", "check", "kind", "lost", "doubled"),
    [
        (lose, "C1", Kind.LOST, 1, 0),
        (forget_conflict, "C1", Kind.LOST, 1, 0),
        (misplace, "C1", Kind.MISPLACED, 0, 0),
        (keep_twice, "C2", Kind.DOUBLED, 0, 1),
        (invent, "C2", Kind.UNSENT, 0, 1),
        (overwrite, "C2", Kind.OTHER_ROW, 0, 0),
        (store_both_rivals, "C2", Kind.RIVALS, 0, 0),
        (drop_a_broken_one, "C1", Kind.LOST, 1, 0),
        (keep_other_bytes, "C1", Kind.ALTERED, 0, 0),
        (lag, "C3", Kind.BEHIND, 0, 0),
        (move_back, "C3", Kind.MOVED_BACK, 0, 0),
    ],
)
def test_a_mistake_turns_its_check_red(
    spoil: Callable[[Account, Tables], None], check: str, kind: Kind, lost: int, doubled: int
) -> None:
    verdict = judge(spoil)
    assert not verdict.holds
    assert verdict.of_kind(check, kind)
    assert (verdict.lost, verdict.doubled) == (lost, doubled)


def test_each_sort_says_how_much_of_it_arrived() -> None:
    def lose_events(account: Account, tables: Tables) -> None:
        lost = {item.message_id for item in account.acknowledged if item.entity is Entity.EVENT}
        tables.kept = [each for each in tables.kept if each[0] not in lost]

    assert all(each.arrived == each.acknowledged for each in judge().arrivals)
    arrivals = judge(lose_events).arrivals
    assert {each.sort for each in arrivals if not each.arrived} == {Entity.EVENT}
    assert {each.sort for each in arrivals if each.arrived == each.acknowledged} == {*Entity} - {Entity.EVENT}


def test_what_was_never_acknowledged_may_be_there_once_but_not_twice() -> None:
    def give_up(account: Account, _tables: Tables) -> None:
        item = an_event(account)
        account.acknowledged.remove(item)
        account.unacknowledged.append(item)

    def give_up_twice(account: Account, tables: Tables) -> None:
        give_up(account, tables)
        tables.kept.append((account.unacknowledged[0].message_id, "parked"))

    assert judge(give_up).holds
    assert judge(give_up_twice).doubled == 1


def test_every_broken_record_has_the_reason_that_its_contract_gives() -> None:
    now, zone = datetime.now(UTC), ZoneInfo("UTC")
    for each in (each for batch in drawn(Random("reasons")) for each in batch):
        entity = each.item.entity
        record = Record(TOPIC_OF[entity], 0, 7, each.key, each.value, each.headers, now)
        message = read_record(record, entity, zone)
        reason = message.refusal and message.refusal.reason
        assert reason == each.item.content.get("reason"), each
        assert not each.headers or message.message_id == each.item.message_id


@pytest.fixture
def dropped(tmp_path: Path) -> tuple[list[Filed], list[Job], Folders]:
    """A drop that was loaded without a mistake."""
    folders = Folders(tmp_path)
    folders.create()
    papers, jobs = Desk("files").drop(), list[Job]()
    for paper in papers:
        filed = paper.filed
        job = Job(
            new_id(),
            *(filed.name, filed.sha256, "loaded_with_rejects", filed.rows, filed.loaded, 0, 0),
            *_counts(filed),
        )
        name = stored_name(job.job_id, filed.name)
        (folders.processed / name).write_bytes(paper.data)
        lines = "".join(f"{line}\r\n" for line in filed.rejected_lines)
        (folders.invalid / f"{name}{REJECTS_SUFFIX}").write_text(f"line\r\n{lines}")
        jobs.append(job)
    return [paper.filed for paper in papers], jobs, folders


def _counts(filed: Filed) -> tuple[int, int, int]:
    return filed.duplicate, filed.parked, len(filed.rejected_lines)


type Dropped = tuple[list[Filed], list[Job], Folders]


def load_twice(_filed: list[Filed], jobs: list[Job], _folders: Folders) -> None:
    jobs.append(jobs[0]._replace(job_id=new_id()))


def never_load(_filed: list[Filed], jobs: list[Job], _folders: Folders) -> None:
    del jobs[0]


def count_a_row_twice(_filed: list[Filed], jobs: list[Job], _folders: Folders) -> None:
    jobs[0] = jobs[0]._replace(rows=jobs[0].rows + 1, duplicate=jobs[0].duplicate + 1)


def never_finish(_filed: list[Filed], jobs: list[Job], _folders: Folders) -> None:
    jobs[0] = jobs[0]._replace(status="running", rows=0, loaded=0)


def leave_a_file(_filed: list[Filed], _jobs: list[Job], folders: Folders) -> None:
    (folders.work / "left.csv").touch()


def alter_a_file(_filed: list[Filed], _jobs: list[Job], folders: Folders) -> None:
    next(folders.processed.iterdir()).write_bytes(b"other bytes")


def lose_a_rejects_file(_filed: list[Filed], _jobs: list[Job], folders: Folders) -> None:
    next(folders.invalid.iterdir()).unlink()


def test_files_that_were_loaded_once_hold(dropped: Dropped) -> None:
    filed, jobs, folders = dropped
    assert check_files(filed, jobs, folders.root) == []


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (load_twice, Kind.DOUBLED),
        (never_load, Kind.LOST),
        (count_a_row_twice, Kind.MISCOUNTED),
        (never_finish, Kind.UNFINISHED),
        (leave_a_file, Kind.UNFINISHED),
        (alter_a_file, Kind.ALTERED),
        (lose_a_rejects_file, Kind.MISFILED),
    ],
)
def test_a_mistake_with_a_file_is_found(
    dropped: Dropped, spoil: Callable[[list[Filed], list[Job], Folders], None], kind: Kind
) -> None:
    spoil(*dropped)
    filed, jobs, folders = dropped
    assert {problem.kind for problem in check_files(filed, jobs, folders.root)} == {kind}


async def test_the_ledger_reads_back_what_was_sent_and_acknowledged(tmp_path: Path) -> None:
    item = Item(UUID(int=1), Entity.EVENT, {"user_id": 1}, Fate.TABLE)
    other, refused = replace(item, message_id=UUID(int=2)), replace(item, fate=Fate.REFUSED)
    ledger = Ledger(tmp_path / "ledger.jsonl")
    first, _ = await asyncio.gather(ledger.sent([item, refused]), ledger.sent([item, other]))
    await ledger.acknowledged(first, [0])
    await ledger.dropped(filed := Filed("a.csv", Road.SENT, "00", 9, [3, 4], parked=1, duplicate=2))
    ledger.close()
    assert (read_files(ledger.path), filed.loaded) == ([filed], 4)
    account = account_of(read_ledger(ledger.path))
    assert (account.acknowledged, account.unacknowledged) == ([item], [other])


def test_the_same_seed_draws_the_same_load() -> None:
    assert list(Shop("7", 500).requests()) == list(Shop("7", 500).requests())
    assert list(Shop("7", 500).requests()) != list(Shop("8", 500).requests())
