"""LiteLLM's keys, teams, users, customers, budgets, tags and organizations taken over, each only once.

What an entity had spent by then is carried over as LiteLLM stored it, and calls count from the moment of the import
on: so the history may be imported before, after or not at all. Hashed tokens are the same sha256 here and there, so
every key goes on working.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import islice

from spend_middleware.store.desk import Desk, writing
from spend_middleware.store.directory_members import ORGANIZATION, TEAM
from spend_middleware.store.import_people import take_membership, take_team, take_user
from spend_middleware.store.import_rows import UnusableRow
from spend_middleware.store.import_takes import (
    take_budget,
    take_end_user,
    take_key,
    take_organization,
    take_tag,
)
from spend_middleware.store.import_values import Values
from spend_middleware.store.importing import Imported, Row, importer
from spend_middleware.store.ledger import Ledger

_AT_ONCE = 500

Take = Callable[[Desk, Values], bool]
"""Takes one row; False when it is there already."""


def _taken(ledger: Ledger, rows: Iterable[Row], key: str, take: Take) -> Imported:
    """Take rows over, five hundred in one transaction."""
    result = Imported()
    numbered = enumerate(rows)
    while batch := list(islice(numbered, _AT_ONCE)):
        with writing(ledger.database.engine, int(time.time() * 1_000_000)) as desk:
            for position, row in batch:
                try:
                    fresh = take(desk, Values(row))
                except UnusableRow as error:
                    name = row.get(key) if hasattr(row, "get") else None
                    result.refuse(position, str(name or ""), str(error))
                    continue
                desk.session.flush()
                result.imported += fresh
                result.present += not fresh
    return result


@importer("LiteLLM_BudgetTable")
def import_budgets(ledger: Ledger, rows: Iterable[Row]) -> Imported:
    """Take over budgets."""
    return _taken(ledger, rows, "budget_id", take_budget)


@importer("LiteLLM_OrganizationTable")
def import_organizations(ledger: Ledger, rows: Iterable[Row]) -> Imported:
    """Take over organizations."""
    return _taken(ledger, rows, "organization_id", take_organization)


@importer("LiteLLM_UserTable")
def import_users(ledger: Ledger, rows: Iterable[Row]) -> Imported:
    """Take over internal users, without their passwords, and who is in which team."""
    return _taken(ledger, rows, "user_id", take_user)


@importer("LiteLLM_TeamTable")
def import_teams(ledger: Ledger, rows: Iterable[Row]) -> Imported:
    """Take over teams and their members."""
    return _taken(ledger, rows, "team_id", take_team)


@importer("LiteLLM_TeamMembership")
def import_team_memberships(ledger: Ledger, rows: Iterable[Row]) -> Imported:
    """Take over what members have spent in their teams, and may."""
    return _taken(ledger, rows, "user_id", lambda desk, row: take_membership(desk, row, TEAM, "team_id"))


@importer("LiteLLM_OrganizationMembership")
def import_organization_memberships(ledger: Ledger, rows: Iterable[Row]) -> Imported:
    """Take over who is in which organization."""
    return _taken(
        ledger,
        rows,
        "user_id",
        lambda desk, row: take_membership(desk, row, ORGANIZATION, "organization_id"),
    )


@importer("LiteLLM_EndUserTable")
def import_end_users(ledger: Ledger, rows: Iterable[Row]) -> Imported:
    """Take over customers."""
    return _taken(ledger, rows, "user_id", take_end_user)


@importer("LiteLLM_TagTable")
def import_tags(ledger: Ledger, rows: Iterable[Row]) -> Imported:
    """Take over registered tags."""
    return _taken(ledger, rows, "tag_name", take_tag)


@importer("LiteLLM_VerificationToken")
def import_keys(ledger: Ledger, rows: Iterable[Row]) -> Imported:
    """Take over keys: their hashes go on working."""
    return _taken(ledger, rows, "key_name", take_key)
