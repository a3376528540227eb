"""The health probes: open to everybody, and the only routes that are."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from spend_middleware.api.answers import answer
from spend_middleware.api.asked import TheHouse
from spend_middleware.api.pulse import Pulse
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas import Health, Readiness
from spend_middleware.api.threads import in_thread

routes = Routes("health")

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
async def health_readiness(request: Request, house: TheHouse) -> Response:
    """Whether the database answers within 3 seconds, and how much waits for it."""
    state = await in_thread(house.store.health)
    ledger = {name: state[name] for name in LEDGER}
    if await _pulse(request).beats():
        return answer({"status": "healthy", "db": "connected", **ledger})
    unready = answer({"status": "unhealthy", "db": "disconnected", **ledger})
    unready.status_code = 503
    return unready


@routes.get("/health", permission=Permission.READ_ALL, response_model=Health)
async def health_endpoint(
    request: Request,
    house: TheHouse,
    model: Annotated[str | None, Query(description="Taken for LiteLLM's sake: no model is called.")] = None,  # noqa: ARG001
    model_id: Annotated[str | None, Query(description="Taken for LiteLLM's sake.")] = None,  # noqa: ARG001
) -> Response:
    """How recording is going: what waits, what was lost, what the database says."""
    state = {"model": "spend-middleware", **await in_thread(house.store.health)}
    well = await _pulse(request).beats()
    return answer(
        {
            "healthy_endpoints": [state] if well else [],
            "unhealthy_endpoints": [] if well else [state],
            "healthy_count": int(well),
            "unhealthy_count": int(not well),
        }
    )


def _pulse(request: Request) -> Pulse:
    pulse: Pulse = request.app.state.pulse
    return pulse
