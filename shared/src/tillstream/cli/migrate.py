"""`tillstream migrate`: brings the database to this release."""

import argparse
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from tillstream.db.migrate import migrate
from tillstream.settings import ServiceSettings, load_settings


class MigrateSettings(ServiceSettings):
    """What only the migration may know: the owner's way in and the passwords of the other roles."""

    owner_database_url: SecretStr
    worker_password: SecretStr
    operator_password: SecretStr
    reader_password: SecretStr
    reports_password: SecretStr


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declares the command's arguments."""
    parser = subparsers.add_parser("migrate", help="bring the database to this release; safe to run again")
    parser.add_argument(
        "--change-timezone",
        action="store_true",
        help="keep days in TILLSTREAM_SHOP_TIMEZONE from now on, although the database was made for another zone",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Migrates; 0 where the database is as this release wants it."""
    settings = load_settings(MigrateSettings)
    migrate(
        settings.owner_database_url.get_secret_value(),
        shop_timezone=ZoneInfo(str(settings.shop_timezone)),
        passwords={
            "tillstream_worker": settings.worker_password.get_secret_value(),
            "tillstream_operator": settings.operator_password.get_secret_value(),
            "tillstream_reader": settings.reader_password.get_secret_value(),
            "tillstream_reports": settings.reports_password.get_secret_value(),
        },
        change_zone=args.change_timezone,
    )
    print("The database is at this release.")
    return 0
