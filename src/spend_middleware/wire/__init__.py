"""What bytes on the wire mean: who was called, what was asked, and what the answer says that it used."""

from __future__ import annotations

import logging

from spend_middleware.wire import (
    anthropic,
    assistants,
    audio,
    azure_speech,
    batches,
    bedrock,
    bedrock_agent,
    bedrock_invoke,
    chat_tools,
    cohere,
    dashscope,
    deferred,
    google,
    images,
    lm_studio,
    mistral,
    ollama,
    openai,
    platforms,
    responses,
    vendors,
    videos,
)
from spend_middleware.wire.doubt import UNREADABLE, disbelieve, is_no_answer, settle
from spend_middleware.wire.gateways import looks_like_one, told_by_headers
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.table import recognise
from spend_middleware.wire.values import met

__all__ = [
    "READERS",
    "UNREADABLE",
    "Reading",
    "Received",
    "Route",
    "Sent",
    "is_no_answer",
    "read",
    "recognise",
]

READERS: dict[str, Reader] = {
    **openai.READERS,
    **chat_tools.READERS,
    **responses.READERS,
    **anthropic.READERS,
    **google.READERS,
    **assistants.READERS,
    **audio.READERS,
    **azure_speech.READERS,
    **batches.READERS,
    **bedrock.READERS,
    **bedrock_agent.READERS,
    **bedrock_invoke.READERS,
    **cohere.READERS,
    **dashscope.READERS,
    **deferred.READERS,
    **images.READERS,
    **lm_studio.READERS,
    **mistral.READERS,
    **ollama.READERS,
    **platforms.READERS,
    **vendors.READERS,
    **videos.READERS,
}
"""The reader of each wire format; every format file has its own rows."""

_logger = logging.getLogger("spend_middleware.wire")


def read(route: Route, sent: Sent, received: Received) -> Reading:
    """Return what an answer says; an answer that its reader cannot read is a Reading without usage."""
    try:
        before = met.times
        reading = READERS[route.wire_format](route, sent, received)
        if met.times != before:
            for one in (reading, *reading.more):
                settle(route, one)
        usage = reading.usage
        if reading.more or (usage is not None and not usage.output_tokens):
            for one in (reading, *reading.more):
                disbelieve(route, one)
        if not route.certain and reading.usage is None and not looks_like_one(received):
            reading.billable = False
        return told_by_headers(route, received, reading)
    except Exception as error:
        _logger.debug("unreadable answer", exc_info=True)
        return Reading(usage_note=f"unreadable: {type(error).__name__}")
