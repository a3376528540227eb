"""Calls whose provider reported no usage, or not all of it: which of them are counted here, and what they come to."""

from __future__ import annotations

from msgspec import Raw

from spend_middleware.call import Call, Status, UsageSource
from spend_middleware.guard import note_fault
from spend_middleware.metering import price_again
from spend_middleware.pricing.book import PriceBook
from spend_middleware.wire.reading import Reading, Sent

_CUT_SHORT = (Status.FAILURE, Status.ABORTED)


def to_be_counted(call: Call, reading: Reading) -> bool:
    """Tell whether the tokens of a finished call are to be counted from its texts.

    Args:
        call: The call, with what its provider reported.
        reading: What was read of its answer.
    """
    missing = reading.usage is None or reading.output_missing or reading.input_missing
    if not missing or reading.reported_cost is not None or reading.pending:
        return False
    # What broke off in one piece shows too little to count, and what is free needs no count.
    if call.status in _CUT_SHORT and not (call.stream and reading.visible_text is not None):
        return False
    return reading.usage is not None or call.cost.amount is None


def counted(call: Call, reading: Reading, sent: Sent, book: PriceBook) -> Call:
    """Return a call with its tokens counted and priced; as it was where nothing can be counted.

    Takes the time of a tokenizer: not for a caller's thread.

    Args:
        reading: What was read of its answer.
        sent: Its request.
        book: The prices.
    """
    from spend_middleware.pricing.estimate import Missing, estimate_usage

    content = sent.content
    if content is not None and any(isinstance(value, Raw) for value in content.values()):
        content = None  # a part of it cannot be read, and may be the prompt
    try:
        found = estimate_usage(
            call.operation,
            call.model,
            content,
            reading.visible_text,
            provider=call.provider,
            reported=reading.usage,
            missing=Missing(
                reading.input_missing, reading.output_missing, reading.doubt or "the stream broke off"
            ),
        )
    except Exception as error:
        note_fault("counting the tokens of a call", error)
        return call
    if found is None:
        return call
    usage, note = found
    return price_again(call, usage, UsageSource.ESTIMATED, note, book)
