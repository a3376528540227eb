"""Reads genai-prices' releases: exact dates of price changes, announced prices, models that litellm dropped."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
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
AHEAD = 60
"""Days by which litellm may state a price too early."""
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
            out[f"{name}_above_{-(-tier.start // 1000)}k_tokens"] = number(tier.price)
    return out


@dataclass
class Model:
    """One model of genai-prices: its names and its prices by first day (0: always)."""

    provider: str
    names: tuple[str, ...]
    steps: list[tuple[int, Row]]
    hourly: bool = False
    matches: Callable[[str], bool] = bool


def names_of(model: Any) -> tuple[str, ...]:
    """Return the names that a model is known by; looser patterns are left out, for they answer to near names too."""
    found = [model.id]
    for clause in (model.match, *getattr(model.match, "or_", ())):
        found += [getattr(clause, word) for word in ("equals", "starts_with") if hasattr(clause, word)]
    return tuple(dict.fromkeys(name for name in found if not name.startswith("regional.")))


def steps_of(model: Any) -> tuple[list[tuple[int, Row]], bool]:
    """Return a model's prices by first day, and whether it has further ones for certain hours."""
    if not isinstance(model.prices, list):
        return [(0, rates(model.prices))], False
    steps: list[tuple[int, Row]] = []
    hourly = False
    for priced in model.prices:
        start = getattr(priced.constraint, "start_date", None)
        if priced.constraint is not None and start is None:
            hourly = True
            continue
        steps.append((0 if start is None else (start - dt.date(1970, 1, 1)).days, rates(priced.prices)))
    return sorted(steps, key=lambda step: step[0]), hourly


def same(row: Mapping[str, Any], step: Mapping[str, Any]) -> bool:
    """Return whether a litellm row has the input and output price of a genai-prices step."""
    return all(abs(value(row, f) - value(step, f)) <= 1e-15 for f in PAIR)


def value(row: Mapping[str, Any], name: str) -> float:
    """Return a price of a row, 0 when it has none."""
    found = row.get(name)
    return float(Fraction(found)) if isinstance(found, str) else float(found or 0)


def with_step(row: Row, step: Row, known: frozenset[str]) -> Row:
    """Return a row with the token prices of a step; variants that only litellm knows move in proportion.

    Args:
        row: litellm's row.
        step: genai-prices' prices in litellm's fields.
        known: The fields that genai-prices knows at any time; where the step has none of them, there was none.
    """
    out = {name: price for name, price in row.items() if name in step or name not in known}
    out.update(step)
    if not same(row, step):
        for name in [name for name in out if name.endswith(VARIANTS) and name not in step]:
            side = PAIR[1] if name.startswith("output") else PAIR[0]
            if value(row, side) and side in step:
                scaled = Decimal(str(out[name])) * Decimal(str(step[side])) / Decimal(str(row[side]))
                out[name] = float(f"{float(scaled):.15g}")
    return dict(sorted(out.items(), key=lambda item: item[0]))


class GenaiPrices:
    """All models of one genai-prices release."""

    def __init__(self, models: list[Model]) -> None:
        self.models = models
        self.now = {key: model.steps[-1][1] for model in models for key in keys_of(model)}

    def confirms(self, key: str, before: Row, after: Row) -> bool:
        """Return whether genai-prices holds the value of every field that a litellm release changed."""
        step = self.now.get(key) or self.now.get(f"{after.get('litellm_provider')}/{key}") or {}
        changed = [name for name in {*before, *after} if before.get(name) != after.get(name)]
        return all(name in step and abs(value(after, name) - value(step, name)) <= 1e-15 for name in changed)

    def overlay(self, lines: dict[str, Any], timeline: Any) -> tuple[int, int]:
        """Write exact dates and announced prices into the timelines; add models that they do not know."""
        dated = added = 0
        for model in self.models:
            mine = [key for key in keys_of(model) if key in lines and fits(lines[key], model)]
            # A router's prices follow whichever host is cheapest today: two sources that looked on different days differ
            # without either having a date wrong, so litellm's own history stays as it was seen.
            if len(model.steps) > 1 and model.provider != "openrouter":
                for key in mine:
                    lines[key].rows = hourly(lines[key], model) if model.hourly else merged(lines[key], model)
                    dated += 1
            if not model.hourly:
                for key in mine:
                    retired(lines[key], model)
            if not model.steps[-1][1].get(PAIR[0]) or model.provider == "bedrock" or model.hourly:
                continue
            for name in model.names:
                key = f"{model.provider}/{name}"
                # A bare name of Vertex's does not price a call of the Gemini API.
                if key not in lines and not (name in mine and is_of(lines[name], model.provider)):
                    row = {"litellm_provider": model.provider}
                    lines[key] = timeline([(day, {**row, **step}) for day, step in model.steps])
                    added += 1
        self.end_trials(lines)
        return dated, added

    def end_trials(self, lines: dict[str, Any]) -> None:
        """Let no trial's price of zero outlive the trial: once litellm drops the row, the family's price counts.

        Here genai-prices' looser patterns do, for nothing else says what such a model costs.
        """
        for key, line in lines.items():
            row = line.rows[-1][1]
            provider = row.get("litellm_provider")
            name = key.removeprefix(f"{provider}/")
            if line.removed is None or not is_trial(row) or "free" in name:
                continue
            model = next((m for m in self.models if m.provider == provider and m.matches(name)), None)
            if model is None or not model.steps[-1][1].get(PAIR[0]):
                continue
            bare = {field: row[field] for field in ("litellm_provider", "mode")}
            for since, step in model.steps[step_at(model, line.removed) :]:
                line.change(max(since, line.removed), {**bare, **step})


def is_trial(row: Mapping[str, Any]) -> bool:
    """Return whether a row says that its tokens cost nothing."""
    return all(name in row and not value(row, name) for name in PAIR)


def fits(line: Any, model: Model) -> bool:
    """Return whether a timeline belongs to the provider of a model (bare names are shared between providers)."""
    return is_of(line, model.provider) or (model.provider == "gemini" and is_of(line, "vertex_ai"))


def is_of(line: Any, provider: str) -> bool:
    """Return whether a timeline's rows are a provider's own."""
    return str(line.rows[-1][1].get("litellm_provider") or "").startswith(provider)


def keys_of(model: Model) -> list[str]:
    """Return the keys that litellm's map may hold a model under."""
    prefixes = (model.provider, "vertex_ai") if model.provider == "gemini" else (model.provider,)
    return [key for name in model.names for key in (*(f"{p}/{name}" for p in prefixes), name)]


def step_at(model: Model, day: int) -> int:
    """Return which step of a model counts on a day."""
    return max((i for i, (start, _) in enumerate(model.steps) if start <= day), default=0)


def merged(line: Any, model: Model) -> list[tuple[int, Row]]:
    """Return a timeline in which genai-prices' days count, and litellm's row where it is the later word.

    litellm's row stays when it changed after genai-prices' latest step, unless it repeats a step that genai-prices
    says is over, or is a little ahead of one that it says is yet to come (far ahead: genai-prices' day is the day on
    which somebody noticed).
    """
    known = frozenset(name for _, step in model.steps for name in step) | {"cache_read_input_token_cost"}
    days = sorted({day for day, _ in line.rows} | {day for day, _ in model.steps})
    out: list[tuple[int, Row]] = []
    for day in days:
        row, number = line.at(day), step_at(model, day)
        since, step = model.steps[number]
        first = line.rows[0][0]
        changed = max((start for start, _ in line.rows[1:] if start <= day), default=0)
        over = any(same(row, other) for _, other in model.steps[:number])
        ahead = any(
            same(row, other) and start - max(changed, first) < AHEAD
            for start, other in model.steps[number + 1 :]
        )
        if same(row, step) or over or ahead or since > changed or day < first:
            row = with_step(row, step, known)
        out.append((day, row))
    return out


def retired(line: Any, model: Model) -> None:
    """Let genai-prices' prices count from the day on which litellm dropped a model: it still looks after the row."""
    if line.removed is None:
        return
    for since, step in model.steps[step_at(model, line.removed) :]:
        day = max(since, line.removed)
        row = line.at(day)
        if step.get(PAIR[0]) and not same(row, step):
            line.change(day, with_step(row, step, frozenset()))


def hourly(line: Any, model: Model) -> list[tuple[int, Row]]:
    """Return a timeline with genai-prices' days for a model that costs less at certain hours.

    litellm's rows hold the full price with an off-peak block, genai-prices' steps the off-peak price. Each step takes
    litellm's row with that block; a step that litellm met before it knew of the hours gets the block of a later row.
    """
    block = next((row["off_peak_pricing"] for _, row in line.rows if "off_peak_pricing" in row), None)
    if block is None:
        return list(line.rows)
    names = (*PAIR, "cache_read_input_token_cost")
    out = [line.rows[0]]
    for day, step in model.steps[1:]:
        exact = next((row for _, row in line.rows if same(row.get("off_peak_pricing") or {}, step)), None)
        later = next((row for start, row in line.rows if start >= day), line.rows[-1][1])
        cheap = {**block, **{name: step[name] for name in names if name in step}}
        out.append((day, exact or {**later, "off_peak_pricing": cheap}))
    newer = [(day, row) for day, row in line.rows if day > model.steps[-1][0] and "off_peak_pricing" in row]
    return out + [(day, row) for day, row in newer if row != out[-1][1]]


def read_genai(wheel: Path) -> GenaiPrices:
    """Return the prices inside a genai-prices wheel."""
    sys.path.insert(0, str(wheel))
    from genai_prices.data import providers  # type: ignore[import-not-found]

    models = []
    for provider in providers:
        name = PROVIDERS.get(provider.id)
        for model in provider.models if name else ():
            steps, by_hour = steps_of(model)
            if name:
                models.append(Model(name, names_of(model), steps, by_hour, model.match.is_match))
    return GenaiPrices(models)
