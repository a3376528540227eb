"""Registered tags: those with a description or a budget; calls carry tags without that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel import col, select

from spend_middleware.errors import NotFoundError, TakenError
from spend_middleware.store.desk import Desk
from spend_middleware.store.directory_budgets import link_budget
from spend_middleware.store.entities import SpendTag


def create(desk: Desk, wanted: Mapping[str, Any]) -> SpendTag:
    """Register a tag.

    Raises:
        TakenError: The tag is registered.
        ConfigurationError: A value cannot work.
    """
    if desk.get(SpendTag, wanted["name"]) is not None:
        raise TakenError(f"Tag {wanted['name']} already exists")
    tag = SpendTag(tag_name=wanted["name"], created_at=desk.now, created_by=desk.actor)
    return _apply(desk, tag, wanted)


def get(desk: Desk, name: str) -> SpendTag:
    """Return a registered tag.

    Raises:
        NotFoundError: It is not registered.
    """
    tag = desk.get(SpendTag, name)
    if tag is None:
        raise NotFoundError(f"Tag {name} not found")
    return tag


def change(desk: Desk, name: str, wanted: Mapping[str, Any]) -> SpendTag:
    """Change the fields of a tag that were given, and return it.

    Raises:
        NotFoundError: It is not registered.
        ConfigurationError: A value cannot work.
    """
    return _apply(desk, get(desk, name), wanted)


def delete(desk: Desk, name: str) -> None:
    """Forget the registration of a tag; its calls stay in the ledger.

    Raises:
        NotFoundError: It is not registered.
    """
    desk.session.delete(get(desk, name))


def find(desk: Desk) -> list[SpendTag]:
    """Return the registered tags, ordered by name."""
    return list(desk.session.exec(select(SpendTag).order_by(col(SpendTag.tag_name))).all())


def _apply(desk: Desk, tag: SpendTag, wanted: Mapping[str, Any]) -> SpendTag:
    for name in ("description", "models", "model_info"):
        if wanted.get(name) is not None:
            setattr(tag, name, wanted[name])
    tag.budget_id = link_budget(desk, tag.budget_id, wanted, own=True)
    tag.updated_at = desk.now
    desk.session.add(tag)
    return tag
