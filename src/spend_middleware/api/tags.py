"""The routes of registered tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.answers import answer, zulu
from spend_middleware.api.asked import TheCaller, TheHouse
from spend_middleware.api.desk import TheDirectory, actor
from spend_middleware.api.parameters import period_of
from spend_middleware.api.refusals import plain, refusing
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_entities import Part, budget_row, filled
from spend_middleware.api.schemas_tags import (
    TagAnswer,
    TagConfig,
    TagDeleteRequest,
    TagInfoRequest,
    TagMessage,
    TagNewRequest,
    TagRow,
    TagUpdateRequest,
)
from spend_middleware.store import directory_tags
from spend_middleware.store.directory import Directory
from spend_middleware.store.directory_budgets import budgets_of
from spend_middleware.store.entities import SpendTag
from spend_middleware.store.report_values import EVERYTHING, By

routes = Routes("tag management")


@routes.post("/tag/new", permission=Permission.ADMIN, response_model=TagAnswer)
def new_tag(directory: TheDirectory, caller: TheCaller, data: TagNewRequest) -> Response:
    """Register a tag, so that it has a description and a budget; calls can carry tags without that."""
    with refusing(plain), directory.write(actor(caller)) as desk:
        tag = directory_tags.create(desk, data.given())
    return answer(
        {"message": f"Tag {tag.tag_name} created successfully", "tag": filled(TagConfig, _columns(tag))}
    )


@routes.post("/tag/update", permission=Permission.ADMIN, response_model=TagAnswer)
def update_tag(directory: TheDirectory, caller: TheCaller, data: TagUpdateRequest) -> Response:
    """Change the fields of a registered tag that are given."""
    with refusing(plain), directory.write(actor(caller)) as desk:
        tag = directory_tags.change(desk, data.name, data.given())
    return answer(
        {"message": f"Tag {tag.tag_name} updated successfully", "tag": filled(TagConfig, _columns(tag))}
    )


@routes.post("/tag/delete", permission=Permission.ADMIN, response_model=TagMessage)
def delete_tag(directory: TheDirectory, caller: TheCaller, data: TagDeleteRequest) -> Response:
    """Forget the registration of a tag; its calls stay in the ledger."""
    with refusing(plain), directory.write(actor(caller)) as desk:
        directory_tags.delete(desk, data.name)
    return answer({"message": f"Tag {data.name} deleted successfully"})


@routes.post("/tag/info", permission=Permission.READ_ALL, response_model=dict[str, TagRow])
def info_tag(directory: TheDirectory, data: TagInfoRequest) -> Response:
    """Show registered tags by name."""
    with directory.read() as desk:
        tags = desk.some(SpendTag, SpendTag.tag_name, data.names)
    missing = sorted(set(data.names) - {tag.tag_name for tag in tags})
    if missing:
        raise plain(404, f"Tags not found: {', '.join(missing)}")
    return answer({row["name"]: row for row in _rows(directory, tags)})


@routes.get("/tag/list", permission=Permission.READ_ALL, response_model=list[TagRow])
def list_tags(
    house: TheHouse,
    directory: TheDirectory,
    start_date: Annotated[Part | None, Query(description="Only tags that were used since this day.")] = None,
    end_date: Annotated[Part | None, Query(description="Only tags that were used until this day.")] = None,
) -> Response:
    """List registered tags, and behind them the tags that calls carry without being registered."""
    period = period_of(start_date, end_date, None, house.settings.timezone)
    used = set(directory.reports.names(By.TAG, EVERYTHING, period))
    with directory.read() as desk:
        registered = directory_tags.find(desk)
    bounded = bool(start_date or end_date)
    rows = _rows(directory, [tag for tag in registered if not bounded or tag.tag_name in used])
    names = {tag.tag_name for tag in registered}
    said = "This is just a spend tag that was passed dynamically in a request. It does not control any LLM models."
    rows += [filled(TagRow, {"name": name, "description": said}) for name in sorted(used - names)]
    return answer(rows)


def _rows(directory: Directory, tags: Sequence[SpendTag]) -> list[dict[str, Any]]:
    with directory.read() as desk:
        budgets = budgets_of(desk, tags)
    return [
        filled(
            TagRow,
            _columns(tag) | {"litellm_budget_table": budget_row(directory, budgets.get(tag.budget_id or ""))},
        )
        for tag in tags
    ]


def _columns(tag: SpendTag) -> dict[str, Any]:
    return {
        "name": tag.tag_name,
        "description": tag.description,
        "models": tag.models,
        "model_info": tag.model_info if tag.model_info is not None else {},
        "created_at": zulu(tag.created_at),
        "updated_at": zulu(tag.updated_at),
        "created_by": tag.created_by,
    }
