"""Google's enumerations, which arrive as words or as numbers, and what its tools are billed by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from spend_middleware.call import Unit
from spend_middleware.wire.values import count, listing, mapping

# With `$alt=json;enum-encoding=int` every enumeration is a number.
# https://cloud.google.com/vertex-ai/docs/reference/rest/v1/Modality and .../v1/Content#FinishReason
_MODALITIES = ("", "text", "image", "video", "audio", "document")
_FINISH_REASONS = (
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
)

# https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse#TrafficType
_TIERS: Mapping[str, str] = {
    "ON_DEMAND_PRIORITY": "priority",
    "ON_DEMAND_FLEX": "flex",
    "FLEX": "flex",
    "BATCH": "flex",
}


def modalities(details: Any) -> dict[str, int]:
    """Return the tokens of each modality, `text`, `image`, `video` or `audio`; documents count as text."""
    out: dict[str, int] = {}
    for part in listing(details):
        whole = mapping(part)
        kind = whole.get("modality")
        if isinstance(kind, int) and 0 <= kind < len(_MODALITIES):
            kind = _MODALITIES[kind]
        if not isinstance(kind, str):
            continue
        name = "text" if kind.lower() == "document" else kind.lower()[:16]
        out[name] = out.get(name, 0) + count(whole.get("tokenCount") or whole.get("tokens"))
    return out


def finish_word(reason: Any) -> str | None:
    """Return a finish reason as its word."""
    if isinstance(reason, int) and 0 <= reason < len(_FINISH_REASONS):
        return _FINISH_REASONS[reason]
    return reason[:64] if isinstance(reason, str) and reason else None


def tier_of(usage: Mapping[str, Any]) -> tuple[str | None, bool]:
    """Return the service tier that a usage states, and whether it says that the call was part of a batch."""
    traffic = usage.get("trafficType")
    if isinstance(traffic, str) and traffic in _TIERS:
        return _TIERS[traffic], False
    tier = usage.get("serviceTier")
    return (tier[:32].lower() if isinstance(tier, str) and tier else None), False


# https://ai.google.dev/api/interactions-api#Usage : the types of grounding_tool_count.
_GROUNDING = {"google_search": Unit.WEB_SEARCHES, "google_maps": Unit.MAPS_QUERIES}


def grounding_units(counts: Any) -> dict[str, int]:
    """Return the queries that an interaction states it made, for the web and for maps apart."""
    units: dict[str, int] = {}
    for part in listing(counts):
        kind = mapping(part).get("type")
        unit = _GROUNDING.get(kind.lower()) if isinstance(kind, str) else None
        made = count(mapping(part).get("count"))
        if unit and made:
            units[unit] = units.get(unit, 0) + made
    return units


def search_units(chunks: Iterable[Any]) -> dict[str, int]:
    """Return the queries that grounding made, for the web and for maps apart.

    https://ai.google.dev/gemini-api/docs/google-search#pricing : each query that is not empty is billed.
    https://ai.google.dev/gemini-api/docs/maps-grounding#pricing : a prompt with at least one Maps source is billed.
    """
    queries: set[str] = set()
    web = maps = False
    for chunk in chunks:
        for candidate in listing(mapping(chunk).get("candidates")):
            grounding = mapping(mapping(candidate).get("groundingMetadata"))
            for query in listing(grounding.get("webSearchQueries")):
                if isinstance(query, str) and query.strip():
                    queries.add(query)
            sources = [mapping(source) for source in listing(grounding.get("groundingChunks"))]
            maps = (
                maps or "googleMapsWidgetContextToken" in grounding or any("maps" in part for part in sources)
            )
            web = web or "searchEntryPoint" in grounding or any("web" in part for part in sources)
    units: dict[str, int] = {}
    if maps:
        units[Unit.MAPS_QUERIES] = 1 if web or not queries else len(queries)
    if queries and (web or not maps):
        units[Unit.WEB_SEARCHES] = len(queries)
    return units
