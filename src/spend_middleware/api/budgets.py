"""The routes of reusable budgets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.answers import answer
from spend_middleware.api.asked import TheCaller
from spend_middleware.api.desk import TheDirectory, actor
from spend_middleware.api.refusals import detailed, refusing
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_budgets import (
    BudgetDeleteRequest,
    BudgetNewRequest,
    BudgetRequest,
    BudgetSetting,
)
from spend_middleware.api.schemas_entities import BudgetRow, Part, budget_row, budget_values, filled
from spend_middleware.store import directory_budgets
from spend_middleware.store.entities import SpendBudget

routes = Routes("budget management")

# What a form may change, with its kind and what it is for.
_SETTINGS = (
    ("max_parallel_requests", "Integer", "Calls that may run at the same time; stored and shown."),
    ("tpm_limit", "Integer", "Tokens a minute; stored and shown."),
    ("rpm_limit", "Integer", "Calls a minute; stored and shown."),
    ("budget_duration", "String", "How long a window is, such as 30d."),
    ("max_budget", "Float", "USD that may be spent in a window."),
    ("soft_budget", "Float", "USD from which on somebody is warned."),
)


@routes.post("/budget/new", permission=Permission.ADMIN, response_model=BudgetRow)
def new_budget(directory: TheDirectory, caller: TheCaller, data: BudgetNewRequest) -> Response:
    """Make a budget that customers, tags, members and keys can be linked to."""
    with refusing(detailed), directory.write(actor(caller)) as desk:
        budget = directory_budgets.create_budget(desk, data.wanted())
    return answer(budget_row(directory, budget))


@routes.post("/budget/info", permission=Permission.READ_ALL, response_model=list[BudgetRow])
def info_budget(directory: TheDirectory, data: BudgetRequest) -> Response:
    """Show budgets; unknown ids are left out."""
    if not data.budgets:
        raise detailed(400, "Specify list of budget id's to query, in `budgets`.")
    with directory.read() as desk:
        found = desk.some(SpendBudget, SpendBudget.budget_id, data.budgets)
    return answer([budget_row(directory, budget) for budget in found])


@routes.post("/budget/update", permission=Permission.ADMIN, response_model=BudgetRow)
def update_budget(directory: TheDirectory, caller: TheCaller, data: BudgetNewRequest) -> Response:
    """Change the fields of a budget that are given."""
    if data.budget_id is None:
        raise detailed(400, "budget_id is required")
    with refusing(detailed), directory.write(actor(caller)) as desk:
        budget = directory_budgets.change_budget(desk, data.budget_id, data.wanted())
    return answer(budget_row(directory, budget))


@routes.post("/budget/delete", permission=Permission.ADMIN, response_model=BudgetRow | None)
def delete_budget(directory: TheDirectory, caller: TheCaller, data: BudgetDeleteRequest) -> Response:
    """Delete a budget and show it a last time; null for one that is not there."""
    with directory.write(actor(caller)) as desk:
        budget = directory_budgets.delete_budget(desk, data.id)
    return answer(budget_row(directory, budget))


@routes.get("/budget/list", permission=Permission.READ_ALL, response_model=list[BudgetRow])
def list_budget(directory: TheDirectory) -> Response:
    """List all budgets, oldest first."""
    with directory.read() as desk:
        found = directory_budgets.list_budgets(desk)
    return answer([budget_row(directory, budget) for budget in found])


@routes.get("/budget/settings", permission=Permission.READ_ALL, response_model=list[BudgetSetting])
def budget_settings(
    directory: TheDirectory, budget_id: Annotated[Part, Query(description="The budget.")]
) -> Response:
    """Show the fields of a budget one by one, for a form."""
    with refusing(detailed), directory.read() as desk:
        values = budget_values(directory, directory_budgets.get_budget(desk, budget_id))
    return answer([_setting(name, kind, text, values[name]) for name, kind, text in _SETTINGS])


def _setting(name: str, kind: str, text: str, value: Any) -> dict[str, Any]:
    said = {"field_name": name, "field_type": kind, "field_description": text, "field_value": value}
    return filled(BudgetSetting, said | {"stored_in_db": value is not None})
