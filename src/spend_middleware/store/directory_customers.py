"""Customers: those for whom a service makes calls; a call's `end_user` is enough to be one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import col, select

from spend_middleware.errors import TakenError
from spend_middleware.store.desk import Desk
from spend_middleware.store.directory import Directory
from spend_middleware.store.directory_budgets import link_budget
from spend_middleware.store.entities import SpendEndUser
from spend_middleware.store.report_values import EVERYTHING, By, Filter
from spend_middleware.store.standing import instant


def create(desk: Desk, wanted: Mapping[str, Any]) -> SpendEndUser:
    """Make a customer.

    Raises:
        TakenError: The id exists.
        ConfigurationError: A value cannot work.
    """
    user_id = wanted["user_id"]
    known = desk.get(SpendEndUser, user_id)
    if known is not None and not known.extras.get("deleted"):
        raise TakenError(f"Customer already exists, passed user_id={user_id}. Please pass a new user_id.")
    customer = known or SpendEndUser(user_id=user_id)
    customer.created_at, customer.extras, customer.budget_id = desk.now, {}, None
    if wanted.get("spend") is not None:
        customer.spend_carried = wanted["spend"]
    return _apply(desk, customer, wanted)


def change(desk: Desk, user_id: str, wanted: Mapping[str, Any]) -> SpendEndUser:
    """Change a customer, who may so far be known from the ledger alone."""
    customer = desk.get(SpendEndUser, user_id) or SpendEndUser(user_id=user_id, created_at=desk.now)
    customer.extras = {name: value for name, value in customer.extras.items() if name != "deleted"}
    return _apply(desk, customer, wanted)


def delete(desk: Desk, user_id: str) -> None:
    """Delete a customer, who is listed again from the next call on; the ledger stays.

    The row is kept as a mark of when, because the ledger goes on naming the customer.
    """
    customer = desk.get(SpendEndUser, user_id)
    if customer is not None:
        desk.session.delete(customer)
        desk.session.flush()
    desk.session.add(
        SpendEndUser(user_id=user_id, spend_since=desk.now, extras={"deleted": True}, created_at=desk.now)
    )


def rows(desk: Desk) -> list[SpendEndUser]:
    """Return the rows of customers, the marks of deleted ones too, ordered by id."""
    return list(desk.session.exec(select(SpendEndUser).order_by(col(SpendEndUser.user_id))).all())


def _apply(desk: Desk, customer: SpendEndUser, wanted: Mapping[str, Any]) -> SpendEndUser:
    for name in ("alias", "allowed_model_region", "default_model", "blocked", "models"):
        if wanted.get(name) is not None:
            setattr(customer, name, wanted[name])
    if wanted.get("object_permission_id") is not None:
        customer.extras = {**customer.extras, "object_permission_id": wanted["object_permission_id"]}
    customer.budget_id = link_budget(desk, customer.budget_id, wanted, own=True)
    customer.updated_at = desk.now
    desk.session.add(customer)
    return customer


def known(directory: Directory, user_ids: Sequence[str] | None = None) -> list[SpendEndUser]:
    """Return customers that have a row or that calls have named, ordered by id; all of them when none are named."""
    where = Filter(end_user=tuple(user_ids)) if user_ids is not None else Filter()
    named = {group.keys[0] for group in directory.reports.by([By.END_USER], EVERYTHING, where=where).groups}
    with directory.read() as desk:
        written = rows(desk) if user_ids is None else desk.some(SpendEndUser, SpendEndUser.user_id, user_ids)
    found = {one.user_id: one for one in written}
    deleted = {user_id: one for user_id, one in found.items() if one.extras.get("deleted")}
    for user_id, one in deleted.items():
        since = instant(one.spend_since)
        if not directory.reports.spend_since_many(By.END_USER, [user_id], since, EVERYTHING):
            del found[user_id]
            named.discard(user_id)
    for user_id in named - found.keys() - {""}:
        found[user_id] = SpendEndUser(user_id=user_id)
    return [found[user_id] for user_id in sorted(found)]
