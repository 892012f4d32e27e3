"""The dashboard "the shop": what was sold, to how many, and how sure the numbers are. From PostgreSQL, by the views of `api`."""

from tillstream.db import queries
from tillstream_dashboards.kinds import columns, gauges, lines, sql, stat, table
from tillstream_dashboards.model import BLUE, GREEN, RED, YELLOW, Json, Row, dashboard, of_field, texts

UID = "tillstream-shop"
# The sample shop's first days are of January 2024. A shop with years of orders wants a nearer beginning.
BEGINNING = "2024-01-01T00:00:00.000Z"
RANGES = (
    ("Today", "now/d", "now"),
    ("Last 7 days", "now-6d/d", "now"),
    ("Last 30 days", "now-29d/d", "now"),
    ("Last 365 days", "now-364d/d", "now"),
    ("The sample shop (January 2024)", BEGINNING, "2024-01-31T23:59:59.000Z"),
    ("Everything since 2024", BEGINNING, "now"),
)
MONEY = "locale"  # thousands set apart; which currency is the shop's own affair
PAID_ONLY = "Only orders that stand at paid count, those already shipped do not. Days are days of the shop's time zone."
NOTHING_SOLD = "no paid order"
_SQL = queries.load("tillstream_dashboards", "shop.sql")


def question(name: str, *, over_time: bool = False) -> Json:
    """A statement of `shop.sql` without its comment, as a target."""
    statement = "\n".join(line for line in _SQL[name].splitlines() if not line.startswith("--"))
    return sql(statement, over_time=over_time)


def _revenue_of(days_back: int) -> Json:
    target = question("revenue_of_a_day")
    return {**target, "rawSql": target["rawSql"].format(days_back=days_back)}


_NOW = Row(
    "Now",
    (
        stat(
            "Revenue today",
            MONEY,
            f"The sum of this shop day's orders so far. {PAID_ONLY} Worry when it stays 0 in hours that used to sell.",
            _revenue_of(0),
            no_data=NOTHING_SOLD,
            decimals=2,
            base=BLUE,
        ),
        stat(
            "Revenue yesterday",
            MONEY,
            f"The sum of the shop day before this one. {PAID_ONLY} It still changes, while orders are shipped and late ones come in.",
            _revenue_of(1),
            no_data=NOTHING_SOLD,
            decimals=2,
            base=BLUE,
        ),
        stat(
            "Paid orders today",
            "short",
            f"How many orders make up today's revenue. {PAID_ONLY} Worry when visitors come and this stays 0.",
            question("orders_of_today"),
            no_data=NOTHING_SOLD,
            decimals=0,
            base=BLUE,
        ),
        stat(
            "Complete through",
            "dateTimeFromNow",
            "Everything accepted up to this moment is in the numbers of this page. Worry when it is more than a minute ago: "
            "then the numbers are too low.",
            question("complete_through"),
            no_data="unknown: the worker has not measured",
            base=BLUE,
            runbook="partitions.md",
        ),
        stat(
            "Behind by",
            "s",
            "Age of the oldest accepted record that is not counted yet, 0 when none is. Above 10 s the worker does not keep up; "
            "above a minute the numbers mislead.",
            question("lag_seconds"),
            no_data="unknown: the worker has not measured",
            decimals=1,
            steps=((10, YELLOW), (60, RED)),
            runbook="partitions.md",
        ),
        stat(
            "Waiting",
            "short",
            "Accepted records that are in no number yet: in the log, or parked until what they refer to comes. Some are normal "
            "while a file loads; worry when it only grows.",
            question("waiting"),
            no_data="unknown: the worker has not measured",
            decimals=0,
            steps=((1_000, YELLOW), (100_000, RED)),
            runbook="partitions.md",
        ),
    ),
)


_REVENUE = Row(
    "Revenue and orders in the range that is shown",
    (
        stat(
            "Revenue",
            MONEY,
            f"The sum of the days of the range. {PAID_ONLY} It equals what query-api answers for the same days.",
            question("revenue_of_the_range"),
            no_data=NOTHING_SOLD,
            decimals=2,
            base=BLUE,
            size=(6, 4),
        ),
        stat(
            "Average order",
            MONEY,
            f"Revenue by number of orders. {PAID_ONLY} A jump without a reason in the shop may be a wrong file.",
            question("average_order"),
            no_data=NOTHING_SOLD,
            decimals=2,
            base=BLUE,
            size=(6, 4),
        ),
        gauges(
            "Orders by status",
            "short",
            "All orders whose order date lies in the range, by their status now. Many pending ones that never get paid are lost sales.",
            question("orders_by_status"),
            no_data="no order in this range",
            value="orders",
            decimals=0,
            least=0,
            base=BLUE,
            size=(12, 8),
        ),
        columns(
            "Revenue by month",
            MONEY,
            f"The days of the range, summed up by month. {PAID_ONLY} The first and the last month may be cut by the range.",
            question("revenue_by_month"),
            no_data=NOTHING_SOLD,
            x="month",
            decimals=2,
            size=(12, 8),
            base=BLUE,
        ),
        lines(
            "Revenue by day",
            MONEY,
            f"{PAID_ONLY} A day without a paid order has no bar. Worry when a day is missing that should have sold: look at how fresh "
            "the numbers are, then at the quarantine.",
            question("revenue_by_day", over_time=True),
            no_data=NOTHING_SOLD,
            bars=True,
            decimals=2,
            size=(12, 9),
            base=BLUE,
            runbook="quarantine.md",
        ),
        lines(
            "Orders by day and status",
            "short",
            "How many orders each day of the shop brought, by the status they have now. A growing share of cancelled ones wants a look.",
            question("orders_by_day", over_time=True),
            no_data="no order in this range",
            bars=True,
            stacked=True,
            decimals=0,
            size=(12, 9),
            base=BLUE,
            overrides=(
                of_field("pending", color={"mode": "fixed", "fixedColor": YELLOW}),
                of_field("paid", color={"mode": "fixed", "fixedColor": GREEN}),
                of_field("shipped", color={"mode": "fixed", "fixedColor": BLUE}),
                of_field("cancelled", color={"mode": "fixed", "fixedColor": RED}),
            ),
        ),
    ),
)


_CUSTOMERS = Row(
    "What sells, and who comes back",
    (
        table(
            "Top products",
            "short",
            "What earned most in the range: quantity by price of the items of paid orders, without shipping or discounts. How many "
            "are shown is chosen above.",
            question("top_products"),
            no_data=NOTHING_SOLD,
            size=(12, 10),
            overrides=(
                of_field("product_name", displayName="product"),
                of_field("total_units_sold", displayName="units", decimals=0),
                of_field("total_revenue", displayName="revenue", unit=MONEY, decimals=2),
            ),
        ),
        table(
            "Order funnel",
            "short",
            "Events of each stage in the range, as per cent of the stage before and of the first. Worry when a step's share falls to "
            "nearly 0: then a page of the shop is broken, or its events do not arrive.",
            question("funnel"),
            no_data="no event in this range",
            size=(12, 5),
            overrides=(
                of_field("count", decimals=0),
                of_field(
                    "conversion_rate_from_previous",
                    displayName="of the stage before",
                    unit="percent",
                    decimals=2,
                ),
                of_field(
                    "conversion_rate_from_start",
                    displayName="of the first stage",
                    unit="percent",
                    decimals=2,
                ),
            ),
        ),
        table(
            "Came back on day 7",
            "short",
            "Of those who signed up on a day, how many did anything seven shop days later. A day that is not complete can still grow.",
            question("retention"),
            no_data="nobody signed up in this range",
            size=(12, 5),
            overrides=(
                of_field("signup_day", displayName="signed up on"),
                of_field("total_signups", displayName="signups", decimals=0),
                of_field("returned_users", displayName="came back", decimals=0),
                of_field("retention_percentage", displayName="share", unit="percent", decimals=2),
                of_field("complete", unit="bool_yes_no"),
            ),
        ),
    ),
)


_STATUS = texts({"current": ("current", GREEN), "behind": ("behind", YELLOW), "unknown": ("unknown", RED)})
_CERTAINTY = Row(
    "How sure the numbers are",
    (
        stat(
            "Unfinished files",
            "short",
            "Files that are queued, being loaded, or not yet taken up. Until it is 0, numbers may miss what those files hold.",
            question("unfinished_files"),
            no_data="unknown: the loader has not measured",
            decimals=0,
            steps=((10, YELLOW), (100, RED)),
            runbook="csv-files.md",
        ),
        stat(
            "Open quarantine",
            "short",
            "Records that were accepted, then refused, and that nobody has settled. They are in no number. Worry when it grows.",
            question("open_quarantine"),
            no_data="0",
            decimals=0,
            steps=((1, YELLOW), (1_000, RED)),
            runbook="quarantine.md",
        ),
        stat(
            "Stopped partitions",
            "short",
            "Parts of the stream that the worker stopped, because too much of what came was refused. Each one holds numbers back "
            "until a person resumes it.",
            question("stopped_partitions"),
            no_data="unknown",
            decimals=0,
            steps=((1, RED),),
            runbook="partitions.md",
        ),
        table(
            "Quarantine by reason",
            "short",
            "What is open, by reason and kind of record. What the records say is shown by query-api and the command line only.",
            question("quarantine_by_reason"),
            no_data="nothing is in quarantine",
            size=(12, 8),
            overrides=(of_field("entries", decimals=0),),
            runbook="quarantine.md",
        ),
        table(
            "Freshness by topic",
            "short",
            "For each kind of record how far its numbers are behind. Behind is normal for seconds; unknown means that no worker reports.",
            question("freshness_by_topic"),
            no_data="no topic is known",
            size=(24, 7),
            overrides=(
                of_field("status", mappings=_STATUS, custom__cellOptions={"type": "color-text"}),
                of_field("lag_seconds", unit="s", decimals=1),
                of_field("complete_through", unit="dateTimeAsIso"),
            ),
            runbook="partitions.md",
        ),
        table(
            "Newest files",
            "short",
            "The last files taken in during the range: rows = loaded + unchanged + superseded + duplicate + parked + rejected. Rejected "
            "rows wait in the folder `invalid/` for a correction.",
            question("newest_files"),
            no_data="no file came in this range",
            size=(24, 8),
            overrides=(
                of_field("file_name", displayName="file"),
                of_field("rows_per_second", displayName="speed", unit="rowsps", decimals=0),
                of_field("created_at", displayName="came at", unit="dateTimeAsIso"),
            ),
            runbook="csv-files.md",
        ),
    ),
)


def make() -> Json:
    """The whole dashboard."""
    return dashboard(
        uid=UID,
        title="The shop",
        says="What was sold, to how many, and how sure the numbers are. Read-only, from the views that query-api answers from.",
        rows=(_NOW, _REVENUE, _CUSTOMERS, _CERTAINTY),
        time=(BEGINNING, "now"),
        refresh="30s",
        timezone="utc",  # a shop day is drawn at its midnight in UTC
        ranges=RANGES,
        variables=(_how_many_products(),),
    )


def _how_many_products() -> Json:
    choices = ("5", "10", "20", "50")
    return {
        "type": "custom",
        "name": "products",
        "label": "Products",
        "description": "How many of the top products are shown.",
        "query": ",".join(choices),
        "current": {"text": "10", "value": "10"},
        "options": [{"text": each, "value": each, "selected": each == "10"} for each in choices],
        "multi": False,
        "includeAll": False,
        "allowCustomValue": False,
    }
