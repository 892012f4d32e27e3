"""Who decided what about a partition: the trail of `tillstream partitions`."""

from pathlib import Path

from alembic import op

from tillstream.db.migrate import run_script

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Runs the SQL beside this file."""
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """A database goes forward only."""
    raise NotImplementedError
