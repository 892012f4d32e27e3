"""The tables of the first release."""

from pathlib import Path

from alembic import op

from tillstream.db.migrate import run_script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Runs the SQL beside this file."""
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """There is nothing before the first release."""
    raise NotImplementedError
