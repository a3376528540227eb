"""Spans and metrics of calls, through the real SDK's exporters."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2
import pytest
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from spend_middleware import Spend
from traces import exporter_of_spans

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "secret answer"}, "finish_reason": "stop"}
    ],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 40},
    },
}
ASKED = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "secret prompt"}]}
URL = "https://api.openai.com/v1/chat/completions"

exporter = exporter_of_spans()
reader = InMemoryMetricReader()


@pytest.fixture(scope="module", autouse=True)
def _metrics() -> None:
    # OpenTelemetry's providers are set once for the whole process.
    metrics.set_meter_provider(MeterProvider([reader]))


@pytest.fixture
def spend(tmp_path: Path) -> Iterator[Spend]:
    exporter.clear()
    with Spend(f"sqlite:///{tmp_path}/spend.db") as made:
        yield made


def call(spend: Spend, status: int = 200, answer: Any = ANSWER, asked: Any = ASKED) -> None:
    transport = spend.transport(httpx2.MockTransport(lambda request: httpx2.Response(status, json=answer)))
    with httpx2.Client(transport=transport) as client:
        client.post(URL, json=asked, headers={"authorization": "Bearer sk-secret"})


def spans() -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.kind is SpanKind.CLIENT]


def test_a_call_is_one_client_span_with_its_tokens_and_its_cost(spend: Spend) -> None:
    with (
        trace.get_tracer("test").start_as_current_span("outer") as outer,
        spend.tag("a", end_user="palantir"),
    ):
        call(spend)
    (span,) = spans()
    assert span.name == "chat gpt-4o-mini"
    assert span.parent is not None
    assert span.parent.span_id == outer.get_span_context().span_id
    found = dict(span.attributes or {})
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "server.address": "api.openai.com",
        "spend.tags": ("a",),
        "spend.end_user": "palantir",
    }
    assert {name: found[name] for name in expected} == expected
    cost = 60 * 1.5e-7 + 40 * 7.5e-8 + 20 * 6e-7
    assert found["gen_ai.usage.cost"] == found["operation.cost"] == pytest.approx(cost, rel=1e-12)
    assert span.status.status_code is not StatusCode.ERROR


def test_a_span_holds_neither_content_nor_credentials(spend: Spend) -> None:
    call(spend)
    (span,) = spans()
    assert "secret" not in span.to_json()


def test_a_refused_call_is_an_error_span_without_tokens(spend: Spend) -> None:
    call(spend, 429, {"error": {"type": "rate_limit_error", "message": "secret"}})
    (span,) = spans()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["http.response.status_code"] == 429
    assert "gen_ai.usage.input_tokens" not in (span.attributes or {})
    assert "secret" not in span.to_json()


def test_an_unpriced_call_has_no_cost_but_a_reason(spend: Spend) -> None:
    call(spend, answer={**ANSWER, "model": "gpt-99"}, asked={**ASKED, "model": "gpt-99"})
    (span,) = spans()
    found = dict(span.attributes or {})
    assert found["spend.pricing_status"] == "unpriced"
    assert "gpt-99" in str(found["spend.unpriced_reason"])
    assert "gen_ai.usage.cost" not in found


def test_spans_can_be_switched_off(tmp_path: Path) -> None:
    exporter.clear()
    with Spend(f"sqlite:///{tmp_path}/off.db", spans=False) as spend:
        call(spend)
    assert spans() == []


def test_metrics_add_up_tokens_and_cost(spend: Spend) -> None:
    call(spend)
    found: dict[str, Any] = {
        metric.name: metric.data.data_points
        for resource in (reader.get_metrics_data() or pytest.fail("no metrics")).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert sum(point.value for point in found["gen_ai.client.inference.usage.input_tokens"]) % 100 == 0
    assert sum(point.value for point in found["operation.cost"]) > 0
    assert sum(point.count for point in found["gen_ai.client.inference.duration"]) >= 1
    labels = {name for point in found["operation.cost"] for name in point.attributes}
    assert "spend.end_user" not in labels, "an end user in a metric's labels makes a series for each customer"


def test_the_health_of_the_ledger_is_a_few_gauges(spend: Spend) -> None:
    call(spend)
    assert spend.flush()
    found: dict[str, Any] = {
        metric.name: metric.data.data_points
        for resource in (reader.get_metrics_data() or pytest.fail("no metrics")).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    values = {name: {point.value for point in points} for name, points in found.items() if "ledger" in name}
    assert set(values) >= {"spend.ledger.pending", "spend.ledger.refused", "spend.ledger.journal_bytes"}
    assert values["spend.ledger.refused"] == {0.0}


def test_spans_reach_a_collector_over_otlp(spend: Spend) -> None:
    received: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append(gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = Thread(target=server.serve_forever)
    thread.start()
    processor = SimpleSpanProcessor(OTLPSpanExporter(f"http://127.0.0.1:{server.server_port}/v1/traces"))
    provider: Any = trace.get_tracer_provider()
    provider.add_span_processor(processor)
    try:
        call(spend)
    finally:
        processor.shutdown()
        server.shutdown()
        thread.join()
        server.server_close()
    message = ExportTraceServiceRequest.FromString(received[0])
    span = message.resource_spans[0].scope_spans[0].spans[0]
    found = {attribute.key: attribute.value for attribute in span.attributes}
    assert span.name == "chat gpt-4o-mini"
    assert found["gen_ai.usage.cost"].double_value > 0
