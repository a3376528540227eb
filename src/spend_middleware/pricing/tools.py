"""Tools that a provider bills beside the tokens: each is added, none takes another's place."""

from __future__ import annotations

from decimal import Decimal

from spend_middleware.call import Charge, Unit
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.pricing.rates import ZERO, Rates
from spend_middleware.pricing.related import Related
from spend_middleware.pricing.tokens import add, quantity

# What a search costs where a row does not say.
_SEARCH = {
    "gemini": Decimal(
        "0.035"
    ),  # https://ai.google.dev/gemini-api/docs/pricing, "Grounding with Google Search"
    "vertex_ai": Decimal("0.035"),  # https://cloud.google.com/vertex-ai/generative-ai/pricing
    "anthropic": Decimal("0.01"),  # https://docs.claude.com/en/docs/about-claude/pricing, "Web search tool"
    "xai": Decimal("0.005"),  # https://docs.x.ai/docs/models, "Live search / server-side tools"
}
_GROQ_OPEN = Decimal("0.001")  # https://groq.com/pricing, "Visit website"
_MAPS_QUERY = Decimal("0.014")  # https://ai.google.dev/gemini-api/docs/pricing, "Grounding with Google Maps"
_MAPS_PROMPT = Decimal("0.025")
_FILE_SEARCH = Decimal(
    "0.0025"
)  # https://platform.openai.com/docs/pricing, "Built-in tools": 2.50 per 1,000 calls
_ROUTER = "azure_ai/model_router"


def has_tool_prices(query: PriceQuery) -> bool:
    """Return whether a call may cost more than its tokens though its usage names no units."""
    return query.provider in ("azure", "azure_ai") and any("router" in m for m in query.models)


def charges(rates: Rates, query: PriceQuery, related: Related) -> list[Charge]:
    """Return the lines of every tool that was used."""
    usage = query.usage
    provider = query.provider or rates.provider
    lines: list[Charge] = []
    searches = quantity(usage, Unit.WEB_SEARCHES)
    if searches:
        _web_search(lines, rates, provider, searches, usage.traits.get("search_context_size"))
    if provider == "xai":
        add(lines, Unit.X_SEARCHES.value, quantity(usage, Unit.X_SEARCHES), _SEARCH["xai"])
    if provider == "groq":
        add(lines, Unit.WEB_PAGES_OPENED.value, quantity(usage, Unit.WEB_PAGES_OPENED), _GROQ_OPEN)
    _maps(lines, rates, quantity(usage, Unit.MAPS_QUERIES))
    if provider == "openai":
        per_call = rates.get("file_search_cost_per_1k_calls")
        price = _FILE_SEARCH if per_call is None else per_call / 1000
        add(lines, Unit.FILE_SEARCHES.value, quantity(usage, Unit.FILE_SEARCHES), price)
    _sessions(lines, rates, provider, quantity(usage, Unit.CODE_SESSIONS), related)
    citations = rates.get("citation_cost_per_token")
    if citations is not None:
        add(lines, Unit.CITATION_TOKENS.value, quantity(usage, Unit.CITATION_TOKENS), citations)
    if has_tool_prices(query):
        router = related.row(_ROUTER)
        fee = router.get("input_cost_per_token") if router and "router" not in rates.key else None
        add(lines, "model_router_tokens", max(usage.input_tokens, 0), fee or ZERO)
    return lines


def _web_search(
    lines: list[Charge], rates: Rates, provider: str, searches: Decimal, size: str | None
) -> None:
    google = provider == "gemini" or (provider.startswith("vertex_ai") and "anthropic" not in rates.provider)
    family = "vertex_ai" if provider.startswith("vertex_ai") else provider
    if google:
        size = "medium"
        if rates.fields.get("web_search_billing_unit") != "per_query":
            searches = Decimal(1)  # Gemini 2 bills the grounded prompt, however many queries it took
    usual = "low" if provider == "perplexity" else "medium"
    group = "search_context_cost_per_query"
    price = rates.nested(group, f"search_context_size_{size or usual}")
    if price is None:
        price = rates.nested(group, f"search_context_size_{usual}")
    if price is None:
        price = _SEARCH.get("anthropic" if "anthropic" in rates.provider else family)
    if price is not None:
        add(lines, Unit.WEB_SEARCHES.value, searches, price)


def _maps(lines: list[Charge], rates: Rates, queries: Decimal) -> None:
    if not queries:
        return
    per_query = rates.fields.get("web_search_billing_unit") == "per_query"
    price = rates.get("google_maps_grounding_cost_per_query")
    if price is None:
        price = _MAPS_QUERY if per_query else _MAPS_PROMPT
    add(lines, Unit.MAPS_QUERIES.value, queries if per_query else Decimal(1), price)


def _sessions(lines: list[Charge], rates: Rates, provider: str, sessions: Decimal, related: Related) -> None:
    if not sessions:
        return
    price = rates.get("code_interpreter_cost_per_session")
    if price is None:
        container = related.row(f"{provider}/container")
        price = container.get("code_interpreter_cost_per_session") if container else None
    if price is not None:
        add(lines, Unit.CODE_SESSIONS.value, sessions, price)
