"""What is asked about the daily activity of users, teams, tags, customers, organizations and agents.

Annotations are objects here and not text: FastAPI reads them off functions that are made in a function.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import HTTPException, Query

from spend_middleware.api.access import Caller, hash_of
from spend_middleware.api.asked import House, TheCaller, TheHouse
from spend_middleware.api.parameters import EndDate, StartDate, Zone, dated, listed, one
from spend_middleware.api.routing import Permission
from spend_middleware.store.report_values import By, Filter, Period

_NOTHING = "\x1f"
"""A value that no call has: it keeps an empty list from meaning "any"."""

Model = Annotated[str | None, Query(description="Only calls that this model answered.")]
Key = Annotated[str | None, Query(description="Only this key, raw or as its hash.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """Whose activity it is.

    Args:
        word: LiteLLM's word in the path.
        parameter: The name of the parameter that lists them.
        tags: LiteLLM's headings in the OpenAPI document.
        shown: Whether the document has its routes.
    """

    word: str
    by: By
    parameter: str
    tags: tuple[str, ...]
    permission: Permission = Permission.SPEND
    shown: bool = True

    @property
    def name(self) -> str:
        """The word as it stands in sentences."""
        return self.word.replace("_", " ")


ENTITIES = (
    Entity(
        word="user",
        by=By.USER,
        parameter="user_id",
        tags=("Budget & Spend Tracking", "Internal User management"),
        permission=Permission.ANALYTICS,
    ),
    Entity(word="tag", by=By.TAG, parameter="tags", tags=("tag management",)),
    Entity(word="team", by=By.TEAM, parameter="team_ids", tags=("team management",)),
    Entity(word="customer", by=By.END_USER, parameter="end_user_ids", tags=("Customer Management",)),
    # LiteLLM serves /end_user/... without documenting it.
    Entity(
        word="end_user",
        by=By.END_USER,
        parameter="end_user_ids",
        tags=("Customer Management",),
        shown=False,
    ),
    Entity(
        word="organization",
        by=By.ORGANIZATION,
        parameter="organization_ids",
        tags=("organization management",),
    ),
    Entity(word="agent", by=By.AGENT, parameter="agent_ids", tags=("Agent Management", "agents")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which calls are meant: of which days, of which users or teams, of which model and key."""

    by: By
    period: Period
    names: tuple[str, ...] = ()
    excluded: frozenset[str] = frozenset()
    model: str | None = None
    api_key: str | None = None

    def where(self, house: House, caller: Caller) -> Filter:
        """Return the calls that are meant; whoever is left out by name is known only from the ledger."""
        wanted = self.names
        agents = self.by is By.AGENT
        if self.excluded or (agents and not wanted):
            # Calls without an agent are nobody's activity; those without a team are a line of their own.
            found = house.store.reports.names(self.by, caller.scope, self.period)
            every = wanted or (found if agents else ["", *found])
            wanted = tuple(name for name in every if name not in self.excluded) or (_NOTHING,)
        parts = {self.by.value: wanted} if wanted else {}
        return Filter(**parts, model=one(self.model), api_key=one(self.api_key and hash_of(self.api_key)))


Asking = Callable[..., Coroutine[Any, Any, Asked]]


async def _of_users(
    house: TheHouse,
    caller: TheCaller,
    start_date: StartDate = None,
    end_date: EndDate = None,
    model: Model = None,
    api_key: Key = None,
    user_id: Annotated[str | None, Query(description="Only this user; one's own without rights.")] = None,
    timezone: Zone = None,
    include_current_utc_day: Annotated[  # noqa: ARG001
        bool, Query(description="Taken for LiteLLM's sake; the last day is always whole.")
    ] = False,
) -> Asked:
    if not caller.sees_all and user_id not in (None, "", caller.user_id):
        raise HTTPException(403, {"error": "Non-admin users can only view their own spend data."})
    period = dated(start_date, end_date, timezone, house.settings.timezone)
    return Asked(by=By.USER, period=period, names=one(user_id), model=model, api_key=api_key)


def _of_listed(entity: Entity) -> Asking:
    wanted = Query(alias=entity.parameter, description="Only these, separated by commas.")
    left_out = Query(alias=f"exclude_{entity.parameter}", description="All but these, separated by commas.")

    async def asked(
        house: TheHouse,
        names: Annotated[str | None, wanted] = None,
        start_date: StartDate = None,
        end_date: EndDate = None,
        model: Model = None,
        api_key: Key = None,
        excluded: Annotated[str | None, left_out] = None,
        timezone: Zone = None,
    ) -> Asked:
        return Asked(
            by=entity.by,
            period=dated(start_date, end_date, timezone, house.settings.timezone),
            names=listed(names),
            excluded=frozenset(listed(excluded)),
            model=model,
            api_key=api_key,
        )

    return asked


def asking(entity: Entity) -> Asking:
    """Return the dependency that reads a question about an entity."""
    return _of_users if entity.by is By.USER else _of_listed(entity)
