"""What the routes of keys, teams, users, customers, budgets and tags share: safe values in, whole rows out."""

import math
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from spend_middleware.api.answers import zulu
from spend_middleware.api.schemas import Answer
from spend_middleware.store.directory import Directory
from spend_middleware.store.entities import SpendBudget

MAX_NAME = 256
"""Characters of an id: index entries of PostgreSQL end at 2,700 bytes."""

MAX_TEXT = 10_000
MAX_DEPTH = 32
MAX_ITEMS = 10_000


def _clean(text: str) -> str:
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text):
        raise ValueError("the text holds a NUL or half of a surrogate pair, which no database can store")
    return text


def _check(value: Any, depth: int = 0) -> int:
    """Refuse what cannot be stored and shown again, at any depth; return how many values there are."""
    if depth > MAX_DEPTH:
        raise ValueError(f"values are nested more than {MAX_DEPTH} deep")
    if isinstance(value, str):
        _clean(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("NaN and infinity are no JSON numbers")
    elif isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 1024:
        raise ValueError("a number has more than 300 digits")
    elif isinstance(value, Mapping):
        count = sum(_check(key, depth) + _check(item, depth + 1) for key, item in value.items())
        return _bounded(count)
    elif isinstance(value, list):
        return _bounded(sum(_check(item, depth + 1) for item in value))
    return 1


def _bounded(count: int) -> int:
    if count > MAX_ITEMS:
        raise ValueError(f"there are more than {MAX_ITEMS} values")
    return count + 1


class Question(BaseModel):
    """A request's body: unknown fields are ignored, and nothing gets in that no database could store."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        _check(value)
        return value

    def given(self) -> dict[str, Any]:
        """Return the fields that the client named."""
        return self.model_dump(exclude_unset=True)


Text = Annotated[str, AfterValidator(_clean), Field(max_length=MAX_TEXT)]
"""A text that can be stored."""

Name = Annotated[str, AfterValidator(_clean), Field(min_length=1, max_length=MAX_NAME)]
"""An id."""

Part = Annotated[str, AfterValidator(_clean), Field(max_length=MAX_NAME)]
"""A piece of text to search for, or an id that may be empty."""

Usd = Annotated[
    Decimal,
    Field(allow_inf_nan=False, le=10**15, ge=-(10**15)),
    WithJsonSchema({"type": "number", "maximum": 1e15, "minimum": -1e15}),
]
"""An amount of money, exact to the pico-dollar."""

Count = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""A whole number that fits a database's column."""


class BudgetWindow(Question):
    """One of several budgets of a key or a team, each with its own duration."""

    budget_duration: Text
    max_budget: Usd
    reset_at: datetime | None = Field(None, description="When the window ends; set here.")


Names = Annotated[list[str], Field(default_factory=list)]
"""A list in an answer; empty where nothing is said."""

Map = Annotated[dict[str, Any], Field(default_factory=dict)]
"""A map in an answer; empty where nothing is said."""


class BudgetRow(Answer):
    """A budget with all its columns; the relations are never filled."""

    budget_id: str
    max_budget: float | None = None
    soft_budget: float | None = None
    max_parallel_requests: int | None = None
    tpm_limit: int | None = None
    rpm_limit: int | None = None
    tpd_limit: int | None = None
    model_max_budget: dict[str, Any] | None = None
    budget_duration: str | None = None
    budget_reset_at: str | None = None
    allowed_models: Names
    temp_budget_increase: float | None = None
    temp_budget_expiry: str | None = None
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str
    organization: Any = None
    projects: Any = None
    keys: Any = None
    end_users: Any = None
    tags: Any = None
    model_access_groups: Any = None
    team_membership: Any = None
    organization_membership: Any = None


class BudgetPart(Answer):
    """A budget as customers and members show it."""

    budget_id: str
    soft_budget: float | None = None
    max_budget: float | None = None
    max_parallel_requests: int | None = None
    tpm_limit: int | None = None
    rpm_limit: int | None = None
    tpd_limit: int | None = None
    model_max_budget: dict[str, Any] | None = None
    budget_duration: str | None = None
    allowed_models: Names
    temp_budget_increase: float | None = None
    temp_budget_expiry: str | None = None
    budget_reset_at: str | None = None
    created_at: str


def filled(model: type[Answer], *values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a model: its fields in its order, from the first mapping that has them, else neutral."""
    row: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        found = next((some[name] for some in values if name in some), None)
        if found is None and not field.is_required():
            found = field.get_default(call_default_factory=True)
        row[name] = found
    return row


def usd(amount: Decimal | None) -> float | None:
    """Return the float that stands nearest to an exact amount."""
    return None if amount is None else float(amount)


def limits_of(row: Any) -> dict[str, Any]:
    """Return the columns of limits that a row has, as answers show them."""
    return {
        "max_budget": usd(row.max_budget),
        "budget_duration": row.budget_duration,
        "budget_reset_at": zulu(row.budget_reset_at),
        "tpm_limit": row.tpm_limit,
        "rpm_limit": row.rpm_limit,
        "max_parallel_requests": row.max_parallel_requests,
    }


def budget_values(directory: Directory, budget: SpendBudget) -> dict[str, Any]:
    """Return a budget's columns as answers show them."""
    return limits_of(budget) | {
        "budget_id": budget.budget_id,
        "soft_budget": usd(budget.soft_budget),
        "tpd_limit": budget.tpd_limit,
        "model_max_budget": budget.model_max_budget,
        "budget_reset_at": zulu(directory.accounts.reset_at(budget)),
        "allowed_models": budget.allowed_models,
        "temp_budget_increase": usd(budget.temp_budget_increase),
        "temp_budget_expiry": zulu(budget.temp_budget_expiry),
        "created_at": zulu(budget.created_at),
        "created_by": budget.created_by,
        "updated_at": zulu(budget.updated_at),
        "updated_by": budget.updated_by,
    }


def budget_row(directory: Directory, budget: SpendBudget | None) -> dict[str, Any] | None:
    """Return a budget with all its columns."""
    return None if budget is None else filled(BudgetRow, budget_values(directory, budget))


def budget_part(directory: Directory, budget: SpendBudget | None) -> dict[str, Any] | None:
    """Return a budget as customers and members show it."""
    return None if budget is None else filled(BudgetPart, budget_values(directory, budget))
