"""The health probes: open to everybody, and the only routes that are."""

from __future__ import annotations

import logging

from fastapi.responses import Response

from spend_middleware.api.answers import answer
from spend_middleware.api.asked import House, TheHouse
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas import Health, Readiness
from spend_middleware.store.directory import ALLOWED_IPS

routes = Routes("health")

_log = logging.getLogger("spend_middleware.api")

LEDGER = ("pending", "queue", "journal_bytes", "oldest_seconds", "set_aside", "refused", "degraded")
"""What the public probe tells of the ledger's health."""


@routes.get("/health/liveliness", permission=Permission.PUBLIC, response_model=str)
@routes.get("/health/liveness", permission=Permission.PUBLIC, response_model=str)
async def health_liveliness() -> Response:
    """Whether the process answers."""
    return answer("I'm alive!")


@routes.get(
    "/health/readiness",
    permission=Permission.PUBLIC,
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "The database does not answer."}},
)
def health_readiness(house: TheHouse) -> Response:
    """Whether the database answers, and how much waits for it."""
    state = house.store.health()
    ledger = {name: state[name] for name in LEDGER}
    if _reachable(house):
        return answer({"status": "healthy", "db": "connected", **ledger})
    unready = answer({"status": "unhealthy", "db": "disconnected", **ledger})
    unready.status_code = 503
    return unready


@routes.get("/health", permission=Permission.READ_ALL, response_model=Health)
def health_endpoint(house: TheHouse) -> Response:
    """How recording is going: what waits, what was lost, what the database says."""
    state = {"model": "spend-middleware", **house.store.health()}
    well = _reachable(house)
    return answer(
        {
            "healthy_endpoints": [state] if well else [],
            "unhealthy_endpoints": [] if well else [state],
            "healthy_count": int(well),
            "unhealthy_count": int(not well),
        }
    )


def _reachable(house: House) -> bool:
    """Return whether the database answers a question now."""
    try:
        house.directory.config(ALLOWED_IPS)
    except Exception as error:
        # One line: probes ask every few seconds.
        _log.warning("The database does not answer (%s).", type(error).__name__)
        return False
    return True
