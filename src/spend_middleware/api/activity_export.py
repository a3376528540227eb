"""Daily activity as a file: CSV or JSON, in any length.

Annotations are objects here and not text: FastAPI reads them off functions that are made in a function.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import Depends, Query
from fastapi.responses import Response, StreamingResponse

from spend_middleware.api.activity_asked import ENTITIES, Asked, Asking, Entity, asking
from spend_middleware.api.activity_days import metrics_of
from spend_middleware.api.answers import array, stream, to_json
from spend_middleware.api.asked import House, TheCaller, TheHouse
from spend_middleware.api.names import entity_names, key_names
from spend_middleware.api.routing import Routes
from spend_middleware.api.schemas_activity import ExportType
from spend_middleware.store.report_answers import Group
from spend_middleware.store.report_values import By

routes = Routes("Budget & Spend Tracking")

_PARTS = {
    ExportType.DAILY: (),
    ExportType.DAILY_WITH_KEYS: (By.KEY,),
    ExportType.DAILY_WITH_MODELS: (By.MODEL,),
    ExportType.DAILY_WITH_USERS: (By.USER,),
}
_NAMES = ("date", "entity_id", "entity_alias", "api_key", "key_alias", "user_id", "user_email", "model")
_COUNTS = (
    "spend",
    "flat_cost",
    "prompt_tokens",
    "completion_tokens",
    "api_requests",
    "successful_requests",
    "failed_requests",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
_ALIASES = {By.TEAM: "team_alias", By.ORGANIZATION: "organization_alias"}
_AT_ONCE = 1000
# What a spreadsheet would take for the beginning of a formula.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")

DECLARED: dict[str, Any] = {
    "response_class": StreamingResponse,
    "responses": {
        200: {
            "description": "The file.",
            "content": {
                "text/csv": {"schema": {"type": "string"}},
                "application/json": {"schema": {"type": "array", "items": {"type": "object"}}},
            },
        }
    },
}


def _export(entity: Entity, ask: Asking) -> Callable[..., Response]:
    def export(
        house: TheHouse,
        caller: TheCaller,
        asked: Annotated[Asked, Depends(ask)],
        export_type: Annotated[ExportType, Query(description="What a line stands for.")] = ExportType.DAILY,
        form: Annotated[
            Literal["csv", "json"], Query(alias="format", description="The form of the file.")
        ] = "csv",
    ) -> Response:
        by = (By.DAY, *dict.fromkeys((asked.by, *_PARTS[export_type])))
        where = asked.where(house, caller)
        groups = house.store.reports.stream(by, caller.scope, asked.period, where)
        rows = _rows(house, _Line(asked.by, by, _PARTS[export_type]), _tagged(groups, asked.by))
        name = f"{entity.word}-usage-{asked.period.start}-{asked.period.end}-{export_type}.{form}"
        headers = {"cache-control": "no-store", "content-disposition": f'attachment; filename="{name}"'}
        if form == "json":
            return stream(array(to_json(row) for row in rows), headers)
        return stream(_csv(rows), headers, media_type="text/csv")

    export.__name__ = f"get_{entity.word}_daily_activity_export"
    export.__doc__ = f"Daily activity by {entity.name} as a file, the oldest day first; sent while it is read, in any length."
    return export


def _tagged(groups: Iterable[Group], by: By) -> Iterator[Group]:
    """Leave out calls that nobody's activity is: those without a tag."""
    return (group for group in groups if by is not By.TAG or group.keys[1])


@dataclass(frozen=True, slots=True)
class _Line:
    """What a line stands for: whose activity, by which columns, and which of them besides the day and whose it is."""

    entity: By
    by: tuple[By, ...]
    parts: tuple[By, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """The names behind the ids of some lines."""

    entities: Mapping[str, Mapping[str, Any]]
    keys: Mapping[str, Mapping[str, Any]]
    users: Mapping[str, Mapping[str, Any]]


def _rows(house: House, line: _Line, groups: Iterable[Group]) -> Iterator[dict[str, Any]]:
    left = iter(groups)
    while some := list(islice(left, _AT_ONCE)):
        known = _known(house, line, some)
        for group in some:
            of = dict(zip(line.by, group.keys, strict=True))
            yield _names(line, of, known) | _counts(group)


def _known(house: House, line: _Line, groups: Sequence[Group]) -> _Known:
    values = {each: {group.keys[place] for group in groups} for place, each in enumerate(line.by)}
    named = line.entity in _ALIASES
    return _Known(
        entity_names(house, line.entity, values[line.entity]) if named else {},
        key_names(house, values[By.KEY]) if By.KEY in line.parts else {},
        entity_names(house, By.USER, values[By.USER]) if By.USER in line.parts else {},
    )


def _names(line: _Line, of: Mapping[By, str], known: _Known) -> dict[str, Any]:
    key = known.keys.get(of.get(By.KEY, ""), {})
    user = of[By.USER] if By.USER in line.parts else key.get("user_id")
    values = (
        of[By.DAY],
        of[line.entity],
        known.entities.get(of[line.entity], {}).get(_ALIASES.get(line.entity, "")),
        of.get(By.KEY) or None,
        key.get("key_alias"),
        user or None,
        known.users.get(user or "", key).get("user_email"),
        of.get(By.MODEL) or None,
    )
    return dict(zip(_NAMES, values, strict=True))


def _counts(group: Group) -> dict[str, Any]:
    metrics = metrics_of(group.sums)
    return {name: metrics[name] for name in _COUNTS}


def _csv(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield _line((*_NAMES, *_COUNTS))
    for row in rows:
        yield _line(row.values())


def _line(values: Iterable[Any]) -> str:
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\r\n").writerow(map(_harmless, values))
    return written.getvalue()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULAS) else value


for _entity in ENTITIES:
    routes.get(
        f"/{_entity.word}/daily/activity/export",
        permission=_entity.permission,
        tags=list(_entity.tags),
        include_in_schema=_entity.shown,
        **DECLARED,
    )(_export(_entity, asking(_entity)))
