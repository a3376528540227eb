"""What the routes need of the rest of the house, as a Protocol; `Spend` fulfils it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from spend_middleware.call import Cost
from spend_middleware.settings import Settings

if TYPE_CHECKING:
    from spend_middleware.pricing.book import PriceBook
    from spend_middleware.store.directory import Directory
    from spend_middleware.store.store import Store


class House(Protocol):
    """The parts of `Spend` that answer requests."""

    @property
    def settings(self) -> Settings:
        """All knobs."""

    @property
    def store(self) -> Store:
        """The ledger and its reports."""

    @property
    def prices(self) -> PriceBook:
        """The price table with the house's own prices in it."""

    @property
    def directory(self) -> Directory:
        """Keys, teams, users and allowed addresses."""

    @property
    def master_key(self) -> str | None:
        """The administrator's key; without one every route but the health probes is closed."""

    def price_response(self, completion_response: Mapping[str, Any], model: str | None = None) -> Cost:
        """Price an answer of any supported shape on the path that live calls take.

        `model` is the model asked for, where the answer does not name one.
        """

    def count_tokens(self, model: str, messages: Sequence[Mapping[str, Any]]) -> int:
        """Count the prompt tokens of chat messages with the local tokenizer."""
