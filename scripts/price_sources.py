"""Reads genai-prices' releases: exact dates of price changes, announced prices, models that litellm dropped."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

Row = dict[str, Any]

# genai-prices' provider -> litellm's prefix in keys and its provider name.
PROVIDERS = {
    "anthropic": "anthropic", "azure": "azure", "cerebras": "cerebras", "cohere": "cohere", "deepseek": "deepseek",
    "fireworks": "fireworks_ai", "google": "gemini", "groq": "groq", "minimax": "minimax", "mistral": "mistral",
    "moonshotai": "moonshot", "novita": "novita", "openai": "openai", "openrouter": "openrouter",
    "perplexity": "perplexity", "together": "together_ai", "voyageai": "voyage", "x-ai": "xai", "zai": "zai",
    "aws": "bedrock", "databricks": "databricks", "github-copilot": "github_copilot", "ovhcloud": "ovhcloud",
    "baseten": "baseten",
}  # fmt: skip
EXTRA_PREFIXES = {"google": ("vertex_ai",)}

# genai-prices' unit (USD per million) -> litellm's field (USD per one).
FIELDS = {
    "input_mtok": "input_cost_per_token",
    "output_mtok": "output_cost_per_token",
    "cache_read_mtok": "cache_read_input_token_cost",
    "cache_write_mtok": "cache_creation_input_token_cost",
    "cache_write_1h_mtok": "cache_creation_input_token_cost_above_1hr",
    "input_audio_mtok": "input_cost_per_audio_token",
    "cache_audio_read_mtok": "cache_read_input_audio_token_cost",
    "output_audio_mtok": "output_cost_per_audio_token",
    "input_image_mtok": "input_cost_per_image_token",
    "output_image_mtok": "output_cost_per_image_token",
    "output_reasoning_mtok": "output_cost_per_reasoning_token",
}
PAIR = ("input_cost_per_token", "output_cost_per_token")
VARIANTS = ("_batches", "_flex", "_priority", "_balanced", "_ultrafast")


def number(value: Decimal) -> int | float:
    """Return USD per million as USD per one, free of float artefacts."""
    one = float(f"{float(value.scaleb(-6)):.15g}")
    return int(one) if one == int(one) else one


def rates(prices: Any) -> Row:
    """Return one genai-prices price in litellm's fields."""
    out: Row = {}
    for unit, name in FIELDS.items():
        price = getattr(prices, unit, None)
        if price is None:
            continue
        if isinstance(price, Decimal | int):
            out[name] = number(Decimal(price))
            continue
        out[name] = number(price.base)
        for tier in price.tiers:
            out[f"{name}_above_{tier.start // 1000}k_tokens"] = number(tier.price)
    return out


@dataclass
class Model:
    """One model of genai-prices: its names and its prices by first day (0: always)."""

    provider: str
    names: tuple[str, ...]
    steps: list[tuple[int, Row]] = field(default_factory=list)


def names_of(model: Any) -> tuple[str, ...]:
    """Return the names that a model is known by exactly; patterns are left out, for they answer to near names too."""
    found = [model.id]
    clauses = [model.match, *getattr(model.match, "or_", ())]
    found += [clause.equals for clause in clauses if hasattr(clause, "equals")]
    return tuple(dict.fromkeys(name for name in found if not name.startswith(("regional.", "global."))))


def steps_of(model: Any) -> list[tuple[int, Row]] | None:
    """Return a model's prices by first day; None when they depend on the hour."""
    if not isinstance(model.prices, list):
        return [(0, rates(model.prices))]
    steps: list[tuple[int, Row]] = []
    for priced in model.prices:
        start = getattr(priced.constraint, "start_date", None)
        if priced.constraint is not None and start is None:
            return None
        steps.append((0 if start is None else (start - dt.date(1970, 1, 1)).days, rates(priced.prices)))
    return sorted(steps, key=lambda step: step[0])


def same(row: Mapping[str, Any], step: Mapping[str, Any]) -> bool:
    """Return whether a litellm row has the input and output price of a genai-prices step."""
    return all(abs(float(row.get(f) or 0) - float(step.get(f) or 0)) <= 1e-15 for f in PAIR)


def with_step(row: Row, before: Row, step: Row) -> Row:
    """Return a row with the token prices of a step; variants that only litellm knows move in proportion."""
    out = dict(row)
    for name in set(before) | set(step):
        if name in step:
            out[name] = step[name]
        else:
            out.pop(name, None)
    for name in list(out):
        side = PAIR[1] if name.startswith("output") else PAIR[0]
        if name.endswith(VARIANTS) and name not in step and row.get(side) and step.get(side) is not None:
            scaled = Decimal(str(row[name])) * Decimal(str(step[side])) / Decimal(str(row[side]))
            out[name] = float(f"{float(scaled):.15g}")
    return out


class GenaiPrices:
    """All models of one genai-prices release."""

    def __init__(self, models: list[Model]) -> None:
        self.models = models
        self.now = {
            key: model.steps[-1][1]
            for model in models
            for key in keys_of(model)
        }  # fmt: skip

    def confirms(self, key: str, row: Row, day: int) -> bool:
        """Return whether genai-prices has the same input and output price for a litellm key."""
        step = self.now.get(key) or self.now.get(f"{row.get('litellm_provider')}/{key}")
        return step is not None and bool(row.get(PAIR[0])) and same(row, step)

    def overlay(self, lines: dict[str, Any], timeline: Any) -> tuple[int, int]:
        """Write exact dates and announced prices into the timelines; add models that they do not know."""
        dated = added = 0
        for model in self.models:
            known = [key for key in keys_of(model) if key in lines and fits(lines[key], model)]
            for key in known:
                dated += sum(place(lines[key], model.steps, index) for index in range(1, len(model.steps)))
            if known or not model.steps[-1][1].get(PAIR[0]):
                continue
            rows = [
                (day, {"litellm_provider": model.provider, "mode": "chat", **step})
                for day, step in model.steps
            ]
            for name in model.names:
                if f"{model.provider}/{name}" not in lines and model.provider != "bedrock":
                    lines[f"{model.provider}/{name}"] = timeline(rows)
                    added += 1
        return dated, added


def fits(line: Any, model: Model) -> bool:
    """Return whether a timeline belongs to the provider of a model (bare names are shared between providers)."""
    provider = str(line.rows[-1][1].get("litellm_provider") or "")
    return provider.startswith((model.provider, "vertex_ai")) or provider == f"{model.provider}_chat"


def keys_of(model: Model) -> list[str]:
    """Return the keys that litellm's map may hold a model under."""
    prefixes = (model.provider, *(("vertex_ai",) if model.provider == "gemini" else ()))
    return [key for name in model.names for key in (*(f"{p}/{name}" for p in prefixes), name)]


def place(line: Any, steps: list[tuple[int, Row]], index: int) -> bool:
    """Put one dated change into a timeline: move litellm's own change to its day, else add the change."""
    (_, before), (day, step) = steps[index - 1], steps[index]
    for number_, (start, row) in enumerate(line.rows):
        if number_ and same(row, step) and same(line.rows[number_ - 1][1], before):
            if start != day:
                line.rows[number_] = (day, row)
                line.rows.sort(key=lambda r: r[0])
            return True
    until = steps[index + 1][0] if index + 1 < len(steps) else None
    first_day = line.rows[0][0]
    row = line.at(day)
    if day <= first_day:
        # litellm met the model after this change: what counted before it is known from here alone.
        if same(line.rows[0][1], step) and not same(before, step):
            line.rows[0] = (day, line.rows[0][1])
            line.rows.insert(0, (0, with_step(row, step, before)))
            return True
        return False
    if same(row, step) and all(row.get(name) == value for name, value in step.items()):
        return False
    if not same(row, before) and not same(row, step):
        later = [r for r in line.rows if r[0] > day and (until is None or r[0] < until)]
        if later:
            return False
    line.change(day, with_step(row, before, step))
    return True


def read_genai(wheel: Path) -> GenaiPrices:
    """Return the prices inside a genai-prices wheel."""
    sys.path.insert(0, str(wheel))
    from genai_prices.data import providers  # type: ignore[import-not-found]

    models = []
    for provider in providers:
        name = PROVIDERS.get(provider.id)
        for model in provider.models if name else ():
            steps = steps_of(model)
            if steps and name:
                models.append(Model(name, names_of(model), steps))
    return GenaiPrices(models)
