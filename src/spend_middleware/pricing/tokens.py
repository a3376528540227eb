"""Token charges: every token of a call in exactly one line, each at the price of its kind."""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal

from msgspec import Raw, Struct

from spend_middleware.call import EXACT, Charge, Cost, Usage
from spend_middleware.costs import Line, charge, charged, listed_cost, total
from spend_middleware.pricing.offpeak import OffPeak
from spend_middleware.pricing.rates import ZERO

ONE = Decimal(1)

MOST_UNITS = Decimal(10**12)

MODERATE = Decimal("0.01")
"""USD for one token, more than nearly all models ask: a hundred million such tokens are still a cost that counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrices:
    """What one token of each kind costs, USD."""

    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal
    cache_write_1h: Decimal
    reasoning: Decimal
    input_audio: Decimal
    input_image: Decimal
    input_video: Decimal
    cache_read_audio: Decimal
    cache_read_image: Decimal
    output_audio: Decimal
    output_image: Decimal
    output_video: Decimal

    def times(self, factor: Decimal) -> TokenPrices:
        """Return the prices multiplied by a factor."""
        if factor == ONE:
            return self
        return TokenPrices(**{f.name: EXACT.multiply(getattr(self, f.name), factor) for f in fields(self)})


@dataclass(frozen=True, slots=True)
class TokenCard:
    """The token prices of one row, tier and region: by length of the prompt and by hour."""

    plain: TokenPrices
    steps: tuple[tuple[int, TokenPrices], ...]
    off_peak: OffPeak | None
    plain_off_peak: TokenPrices | None
    steps_off_peak: tuple[tuple[int, TokenPrices], ...]

    def at(self, input_tokens: int, when: float) -> TokenPrices:
        """Return the prices for a prompt of this length at this time."""
        if self.off_peak is not None and self.off_peak.covers(when) and self.plain_off_peak is not None:
            chosen, steps = self.plain_off_peak, self.steps_off_peak
        else:
            chosen, steps = self.plain, self.steps
        for above, prices in steps:
            if input_tokens > above:
                chosen = prices
        return chosen


class TokenRates(Struct, eq=False, gc=False):
    """The token prices that apply to a call, and where they come from.

    Two are alike only if they are one: as a rule the book gives out the same one as long as the same prices apply, and
    another one for each provider, model as asked for and as answered, operation, tier and address.

    Args:
        own: Whether the price is the user's own.
        key: The row of the price table.
        version: The version of the price table.
        prices: What one token of each kind costs.
        moderate: Whether no token costs more than `MODERATE`.
        kinds: What calls at these prices have in common, encoded, by the meters that count.
    """

    own: bool
    key: str
    version: str
    prices: TokenPrices
    moderate: bool = True
    kinds: dict[tuple[str, ...], Raw] = {}

    def __post_init__(self) -> None:
        self.moderate = all(getattr(self.prices, f.name) <= MODERATE for f in fields(self.prices))

    def cost(self, usage: Usage) -> Cost:
        """Return what a usage of tokens alone costs."""
        lines = token_charges(usage, self.prices)
        return listed_cost(self.own, total(lines), lines, self.key, self.version)


def token_charges(usage: Usage, prices: TokenPrices) -> list[Charge]:
    """Return one charge for each kind of token that was used; every token is in exactly one of them."""
    return charged(token_lines(usage, prices))


def token_lines(usage: Usage, prices: TokenPrices) -> list[Line]:
    """Return what `token_charges` multiplies: one line for each kind of token that was used."""
    lines: list[Line] = []
    given = text = usage.input_tokens
    if given < 0:
        given = text = 0
    if usage.cache_read_tokens or usage.cache_write_tokens:
        text = _cache(lines, usage, given, prices)
    if usage.input_audio_tokens or usage.input_image_tokens or usage.input_video_tokens:
        text = _modalities(lines, usage, text, prices)
    if text:
        lines.insert(0, ("input_tokens", text, prices.input))
    rest = usage.output_tokens
    if (
        usage.reasoning_tokens
        or usage.output_audio_tokens
        or usage.output_image_tokens
        or usage.output_video_tokens
    ):
        rest = _parts(lines, usage, rest, prices)
    if rest > 0:
        lines.append(("output_tokens", rest, prices.output))
    return lines


def _cache(lines: list[Line], usage: Usage, given: int, prices: TokenPrices) -> int:
    """Add the lines of what was read from and written to a cache; return the input tokens that are left."""
    cached = max(min(usage.cache_read_tokens, given), 0)
    written = max(min(usage.cache_write_tokens, given - cached), 0)
    if cached:
        audio = max(min(usage.cache_read_audio_tokens, cached), 0)
        image = max(min(usage.cache_read_image_tokens, cached - audio), 0)
        _put(lines, "cache_read_tokens", cached - audio - image, prices.cache_read)
        if audio or image:
            _put(lines, "cache_read_audio_tokens", audio, prices.cache_read_audio)
            _put(lines, "cache_read_image_tokens", image, prices.cache_read_image)
    if written:
        hour = max(min(usage.cache_write_1h_tokens, written), 0)
        _put(lines, "cache_write_tokens", written - hour, prices.cache_write)
        _put(lines, "cache_write_1h_tokens", hour, prices.cache_write_1h)
    return given - cached - written


def _modalities(lines: list[Line], usage: Usage, text: int, prices: TokenPrices) -> int:
    """Add the lines of audio, pictures and video that came in uncached; return the text tokens that are left."""
    for meter, counted, from_cache, price in (
        ("input_audio_tokens", usage.input_audio_tokens, usage.cache_read_audio_tokens, prices.input_audio),
        ("input_image_tokens", usage.input_image_tokens, usage.cache_read_image_tokens, prices.input_image),
        ("input_video_tokens", usage.input_video_tokens, usage.cache_read_video_tokens, prices.input_video),
    ):
        count = max(min(counted - max(from_cache, 0), text), 0)
        text -= count
        _put(lines, meter, count, price)
    return text


def _parts(lines: list[Line], usage: Usage, rest: int, prices: TokenPrices) -> int:
    """Add the lines of everything but text that came out; return the text tokens that are left."""
    for meter, counted, price in (
        ("output_audio_tokens", usage.output_audio_tokens, prices.output_audio),
        ("output_image_tokens", usage.output_image_tokens, prices.output_image),
        ("output_video_tokens", usage.output_video_tokens, prices.output_video),
        ("reasoning_tokens", usage.reasoning_tokens, prices.reasoning),
    ):
        if counted:
            count = max(min(counted, rest), 0)
            rest -= count
            _put(lines, meter, count, price)
    return rest


def _put(lines: list[Line], meter: str, quantity: int, price: Decimal) -> None:
    """Append one line, unless nothing was used."""
    if quantity:
        lines.append((meter, quantity, price))


def quantity(usage: Usage, unit: str) -> Decimal:
    """Return a quantity of another unit than the token, 0 when there is none or it makes no sense."""
    value = usage.units.get(unit)
    if value is None or isinstance(value, bool):
        return ZERO
    number = Decimal(value)
    return number if number.is_finite() and 0 < number <= MOST_UNITS else ZERO


def add(lines: list[Charge], meter: str, quantity: int | Decimal, price: Decimal) -> None:
    """Append one charge, unless nothing was used."""
    if quantity:
        lines.append(charge(meter, quantity, price))
