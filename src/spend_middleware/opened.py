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
from spend_middleware.wire.values import json_of


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
        """Return the request as the readers of wire formats take it, with all of its body parsed."""
        if self.content is None:
            self.content = json_object(exchange.request_body)
        return Sent(url=exchange.address, headers=exchange.request_headers, content=self.content)


def json_object(body: bytes | None) -> Mapping[str, Any] | None:
    """Return a body that is a JSON object; None for all others."""
    if not body or body[:1] not in b"{ \n\r\t":
        return None
    try:
        content = json_of(body)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
