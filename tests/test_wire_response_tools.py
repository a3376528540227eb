"""The Responses API's own tools are billed as the answer states them, each beside the tokens of the model that asked."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from spend_middleware.call import Unit
from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.query import PriceQuery
from wire_reads import events, read

USAGE = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
OWN = Decimal("0.00225")  # of gpt-5: 1,000 * 1.25e-6 + 100 * 1e-5
AT = 1_795_000_000.0


def response(*output: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "object": "response", "id": "resp_1", "model": "gpt-5", "status": "completed", "usage": USAGE,
        "output": list(output), **more,
    }  # fmt: skip


def picture(**more: Any) -> dict[str, Any]:
    return {"type": "image_generation_call", "status": "completed", "result": "iVBO", **more}


def drawing(model: str) -> dict[str, Any]:
    return {"tools": [{"type": "image_generation", "model": model}]}


def stated(image_gen: dict[str, Any] | None = None, searches: int = 0) -> dict[str, Any]:
    nothing = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    return {"tool_usage": {"image_gen": image_gen or nothing, "web_search": {"num_requests": searches}}}


def search(kind: str | None = None) -> dict[str, Any]:
    return {"type": "web_search_call", **({"action": {"type": kind}} if kind else {})}


def cost_of(body: dict[str, Any], sent: dict[str, Any] | None = None) -> Decimal | None:
    reading = read("openai.responses", body, sent=sent)
    assert reading.usage is not None
    query = PriceQuery(
        provider="openai", models=("gpt-5",), usage=reading.usage, operation="responses", at=AT
    )
    return PriceBook.bundled().price(query).amount


@pytest.mark.parametrize(
    ("body", "searches"),
    [
        (response(search(), search()), 2),
        (response(search("search"), search("open_page"), search("find_in_page")), 1),
        (response(search("search"), search("search"), **stated(searches=1)), 1),
        (response(search("search"), search("open_page"), **stated(searches=2)), 2),
        (response(search("open_page"), **stated(searches=0)), 0),
        (response(search("search"), tool_usage=None), 1),
        (response(search("search"), tool_usage={"web_search": {"num_requests": "many"}}), 1),
    ],
)
def test_searches_are_billed_as_stated_and_pages_that_were_opened_are_not(
    body: dict[str, Any], searches: int
) -> None:
    reading = read("openai.responses", body)
    assert reading.usage is not None
    assert reading.usage.units.get(Unit.WEB_SEARCHES, 0) == searches
    assert cost_of(body) == OWN + searches * Decimal("0.01")


CONTAINER = {"type": "code_interpreter_call", "container_id": "cntr_1"}
SHELL = {"type": "shell_call", "environment": {"type": "container_reference", "container_id": "cntr_2"}}


@pytest.mark.parametrize(
    ("output", "sent", "containers"),
    [
        ([CONTAINER, CONTAINER], {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, 1),
        ([CONTAINER, SHELL], None, 2),
        ([CONTAINER], {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, 0),
        ([SHELL], {"tools": [{"type": "shell", "environment": {"container_id": "cntr_2"}}]}, 0),
        ([{"type": "shell_call", "environment": {"type": "local"}}], None, 0),
    ],
)
def test_a_container_is_billed_by_the_call_that_made_it(
    output: list[dict[str, Any]], sent: dict[str, Any] | None, containers: int
) -> None:
    assert cost_of(response(*output), sent) == OWN + containers * Decimal("0.03")


IMAGE_GEN = {
    "input_tokens": 50,
    "input_tokens_details": {"text_tokens": 40, "image_tokens": 10},
    "output_tokens": 1056,
    "output_tokens_details": {"image_tokens": 1056, "text_tokens": 0},
    "total_tokens": 1106,
}
# gpt-image-1.5: text 5e-6, pictures in 8e-6, pictures out 3.2e-5, cached pictures 2e-6, cached text 1.25e-6
DRAWN = 40 * Decimal("5e-6") + 10 * Decimal("8e-6") + 1056 * Decimal("3.2e-5")


@pytest.mark.parametrize(
    ("body", "sent", "drawn"),
    [
        (response(picture(), **stated(IMAGE_GEN), **drawing("gpt-image-1.5")), None, DRAWN),
        (response(picture(), **stated(IMAGE_GEN)), drawing("gpt-image-1.5"), DRAWN),
        (response(**stated(IMAGE_GEN), **drawing("gpt-image-1.5")), None, DRAWN),
        (
            response(
                picture(),
                **drawing("gpt-image-1.5"),
                **stated({"input_tokens": 0, "output_tokens": 10, "total_tokens": 10}),
            ),
            None,
            10 * Decimal("3.2e-5"),
        ),
        (
            response(
                picture(),
                **drawing("gpt-image-1.5"),
                **stated({
                    **IMAGE_GEN,
                    "cached_tokens": 12,
                    "cached_tokens_details": {"cached_text_tokens": 8, "cached_image_tokens": 4},
                }),
            ),
            None,
            DRAWN - 8 * Decimal("3.75e-6") - 4 * Decimal("6e-6"),
        ),
        (response(picture(size="1024x1024", quality="medium"), **drawing("gpt-image-1.5")), None, Decimal("0.034")),
        (response(picture(size="1024x1536", quality="high"), picture(size="1024x1024", quality="low")), None,
         Decimal("0.261")),
        (response(picture(status="failed")), None, Decimal(0)),
        (response(**stated()), None, Decimal(0)),
    ],
)  # fmt: skip
def test_pictures_are_billed_at_the_rates_of_the_model_that_drew_them(
    body: dict[str, Any], sent: dict[str, Any] | None, drawn: Decimal
) -> None:
    assert cost_of(body, sent) == OWN + drawn
    whole, streamed = (
        read("openai.responses", body, sent=sent),
        read("openai.responses", events({"type": "response.completed", "response": body}), sent=sent),
    )
    assert whole.usage == streamed.usage
    assert (whole.usage_note, streamed.usage_note) == (None, None)


def test_a_picture_of_unknown_size_is_said_to_be_left_out() -> None:
    reading = read("openai.responses", response(picture(size="auto", quality="auto")))
    assert reading.usage_note == "generated images are billed apart and not counted here"


def test_a_picture_of_a_model_without_a_price_makes_the_call_unpriced() -> None:
    assert cost_of(response(picture(), **stated(IMAGE_GEN), **drawing("gpt-image-99"))) is None


def test_the_model_that_wrote_a_picture_as_svg_keeps_its_own_price() -> None:
    svg = {"model": "gpt-5-mini", "input_tokens": 100, "output_tokens": 10, "total_tokens": 110}
    body = response(picture(svg_usage=svg, size="1024x1024", quality="low"))
    assert cost_of(body) == OWN + Decimal("0.011") + 100 * Decimal("2.5e-7") + 10 * Decimal("2e-6")


def test_what_the_tools_used_is_kept_as_it_was_stated() -> None:
    body = response(picture(), **stated(IMAGE_GEN), **drawing("gpt-image-1.5"))
    reading = read("openai.responses", body)
    assert reading.raw_usage == {**USAGE, "tool_usage": body["tool_usage"]}
    assert read("openai.responses", response(**stated())).raw_usage == USAGE
