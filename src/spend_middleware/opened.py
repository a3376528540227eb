"""What is known of a call once it goes out, kept until its answer is closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Raw, Struct

from spend_middleware.attribution import Scope
from spend_middleware.call import Attribution
from spend_middleware.interception.exchange import Exchange
from spend_middleware.wire.reading import Sent
from spend_middleware.wire.request import UsualRequest
from spend_middleware.wire.written import read_object


class Opened(Struct):
    """What was learned when a call went out."""

    asked: UsualRequest | None
    content: Mapping[str, Any] | None
    attribution: Attribution
    payer: Raw | None = None
    """The attribution, encoded, where it is remembered."""
    scope: Scope | None = None
    context: Any = None
    attempt: int = 0
    refused: bool = False

    def sent(self, exchange: Exchange) -> Sent:
        """Return the request as the readers of wire formats take it, with its body to ask."""
        if self.content is None:
            self.content = read_object(exchange.request_body)
        return Sent(url=exchange.address, headers=exchange.request_headers, content=self.content)
