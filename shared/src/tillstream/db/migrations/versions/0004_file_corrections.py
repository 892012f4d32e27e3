"""Which jobs a rejects file corrected, and whether a job's rejects file knows of what was refused after its load."""

from pathlib import Path

from alembic import op

from tillstream.db.migrate import run_script

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Runs the SQL beside this file."""
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """A database goes forward only: which job corrected which is written nowhere else."""
    raise NotImplementedError
