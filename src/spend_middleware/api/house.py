"""What the routes need of the rest of the house, as Protocols; `Spend` fulfils them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from spend_middleware.call import Cost
from spend_middleware.settings import Settings

if TYPE_CHECKING:
    from spend_middleware.pricing.book import PriceBook
    from spend_middleware.store.store import Store


class KeyRecord(Protocol):
    """What a virtual key says about its holder; `user_role` is the role of the user who owns the key."""

    @property
    def key_hash(self) -> str:
        """sha256 hex of the key."""

    @property
    def key_alias(self) -> str | None:
        """The name that its maker gave it."""

    @property
    def user_id(self) -> str | None:
        """The user who owns it."""

    @property
    def user_role(self) -> str | None:
        """LiteLLM's role of that user, such as "internal_user"; None for a key without a user."""

    @property
    def team_id(self) -> str | None:
        """The team that it belongs to."""

    @property
    def organization_id(self) -> str | None:
        """The organization that it belongs to."""

    @property
    def permissions(self) -> Mapping[str, Any]:
        """What its maker allowed besides its role, such as {"get_spend_routes": true}."""

    @property
    def allowed_routes(self) -> Sequence[str]:
        """The only routes that it may call; empty for all that its role may."""

    @property
    def expires_at(self) -> float | None:
        """Seconds since the epoch after which it is refused; None for never."""

    @property
    def blocked(self) -> bool:
        """True while it is refused."""


class Directory(Protocol):
    """Who holds which key, and from where the routes may be called. Each method may block: call it in a thread."""

    def find_key(self, key_hash: str) -> KeyRecord | None:
        """Return the record of a key, None when it is unknown."""

    def allowed_ips(self) -> Sequence[str]:
        """Return the addresses and networks that may call; empty when everybody may."""

    def add_allowed_ip(self, network: str) -> bool:
        """Allow an address or a network; False when it was allowed before."""

    def remove_allowed_ip(self, network: str) -> bool:
        """Take an address or a network off the list; False when it was not on it."""

    def reset_spend(self) -> None:
        """Set the spend of all keys and teams to zero; the ledger stays as it is."""


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
