"""${message}."""

from __future__ import annotations

from alembic.operations import Operations

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade(op: Operations) -> None:
    """Bring the schema up to this revision."""
    ${upgrades if upgrades else "pass"}
