"""One OpenTelemetry span and a few metrics for each call; nothing at all while no provider is set up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import metrics, trace
from opentelemetry.metrics import Observation
from opentelemetry.trace import SpanKind, Status, StatusCode

from spend_middleware.call import Call, UsageSource
from spend_middleware.call import Status as CallStatus

# The names are those of the GenAI conventions (open-telemetry/semantic-conventions-genai, commit 024a4f94,
# docs/gen-ai/client-inference.md). The constants in opentelemetry-semantic-conventions are deprecated ("moved") and
# lack the newer names, so ours stand here. No convention for cost is merged yet: `gen_ai.usage.cost` is what Langfuse,
# OpenLIT, SigNoz and Laminar read, `operation.cost` is what Logfire reads.

PROVIDER_NAMES = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "bedrock_mantle": "aws.bedrock",
    "gemini": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "xai": "x_ai",
    "watsonx": "ibm.watsonx.ai",
}

OPERATION_NAMES = {
    "completion": "chat",
    "responses": "chat",
    "generate_content": "generate_content",
    "embedding": "embeddings",
}

_NAME = "spend_middleware"
_NO_TRACE = (None, None)
_now = time.monotonic

LOOK_AGAIN = 1.0
"""Seconds after which it is looked up again whether a provider has been set up."""

HEALTH_GAUGES = (
    ("pending", "{call}", "Calls that are not in the database yet."),
    ("journal_bytes", "By", "What the journal holds."),
    ("oldest_seconds", "s", "How long the oldest call has waited for the database."),
    ("set_aside", "{record}", "Records that the database refused."),
    ("refused", "{call}", "Calls that could not be recorded."),
    ("retries", "{attempt}", "Writes that were tried again."),
    ("degraded", "1", "1 while the journal's disk is slow."),
)


class Telemetry:
    """Makes the spans and metrics of finished calls.

    Args:
        enabled: False for no spans and no metrics whatever is set up.
    """

    def __init__(self, enabled: bool = True) -> None:
        self._enabled = enabled
        self._looked_at = -LOOK_AGAIN
        self._spans_kept = self._metrics_kept = False
        self._tracer = trace.get_tracer(_NAME)
        meter = metrics.get_meter(_NAME)
        self._input = meter.create_counter(
            "gen_ai.client.inference.usage.input_tokens", "{token}", "Tokens in, cached ones too."
        )
        self._output = meter.create_counter(
            "gen_ai.client.inference.usage.output_tokens", "{token}", "Tokens out, reasoning too."
        )
        self._cost = meter.create_counter("operation.cost", "{USD}", "What calls cost.")
        self._unpriced = meter.create_counter(
            "spend.calls.unpriced", "{call}", "Calls without a known price."
        )
        self._duration = meter.create_histogram(
            "gen_ai.client.inference.duration", "s", "How long calls take."
        )

    def watch(self, health: Callable[[], Mapping[str, Any]]) -> None:
        """Offer the numbers of a ledger's health as gauges, read when metrics are collected; several add up."""
        if not self._enabled:
            return
        if not _watched:
            meter = metrics.get_meter(_NAME)
            for name, unit, description in HEALTH_GAUGES:
                # An instrument exists once in a process, however many ledgers it tells of.
                meter.create_observable_gauge(f"spend.ledger.{name}", [_reading(name)], unit, description)
        _watched.append(health)

    def active(self) -> tuple[str | None, Any]:
        """Return the hex id of the trace that is active now, and what a later span is to be parented to.

        Nothing where no tracing is set up, which is found out in a hundredth of the time of a look at the context.
        """
        if _now() - self._looked_at > LOOK_AGAIN:
            self._look()
        if not self._spans_kept:
            return _NO_TRACE
        context = otel_context.get_current()
        span = trace.get_current_span(context).get_span_context()
        trace_id = f"{span.trace_id:032x}" if span.is_valid else None
        return trace_id, context if self._enabled else None

    def _look(self) -> None:
        """Note whether spans and metrics go anywhere: once a second, as it takes microseconds."""
        self._spans_kept, self._metrics_kept = _spans_are_kept(), _metrics_are_kept()
        self._looked_at = _now()

    @property
    def listens(self) -> bool:
        """Whether spans or metrics of calls go anywhere."""
        if not self._enabled:
            return False
        if _now() - self._looked_at > LOOK_AGAIN:
            self._look()
        return self._spans_kept or self._metrics_kept

    def record(self, call: Call, context: Any = None) -> None:
        """Make the span of one finished call, and count it."""
        if not self.listens:
            return
        if self._spans_kept:
            self._span(call, context)
        if self._metrics_kept:
            self._count(call)

    def _span(self, call: Call, context: Any) -> None:
        operation = OPERATION_NAMES.get(call.operation, call.operation)
        span = self._tracer.start_span(
            f"{operation} {call.request_model}".strip(),
            context=context,
            kind=SpanKind.CLIENT,
            start_time=int(call.started_at * 1e9),
            attributes=_identity(call, operation),
        )
        if span.is_recording():
            span.set_attributes(_outcome(call))
            if call.status is CallStatus.FAILURE:
                span.set_status(Status(StatusCode.ERROR, call.error_type))
        span.end(end_time=int(call.ended_at * 1e9))

    def _count(self, call: Call) -> None:
        labels: dict[str, Any] = _identity(call, OPERATION_NAMES.get(call.operation, call.operation))
        if call.usage_source is not UsageSource.NONE:
            self._input.add(call.usage.overall("input_tokens"), labels)
            self._output.add(call.usage.overall("output_tokens"), labels)
        if call.cost.amount is None:
            self._unpriced.add(1, labels)
        else:
            self._cost.add(float(call.cost.amount), labels)
        if call.error_type:
            labels = {**labels, "error.type": call.error_type}
        self._duration.record(call.ended_at - call.started_at, labels)


_watched: list[Callable[[], Mapping[str, Any]]] = []


def _reading(name: str) -> Callable[[Any], Iterator[Observation]]:
    def read(options: Any) -> Iterator[Observation]:  # noqa: ARG001
        values = [value for health in tuple(_watched) if (value := health().get(name)) is not None]
        if values:
            yield Observation(float(sum(values)))

    return read


def _spans_are_kept() -> bool:
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider | trace.NoOpTracerProvider)


def _metrics_are_kept() -> bool:
    # The API's own placeholder before an SDK is set up; it has no public name.
    return not type(metrics.get_meter_provider()).__name__.startswith(("_Proxy", "NoOp"))


def _identity(call: Call, operation: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": PROVIDER_NAMES.get(call.provider, call.provider),
        "gen_ai.request.model": call.request_model or call.response_model,
    }
    if call.response_model:
        found["gen_ai.response.model"] = call.response_model
    host, _, port = (
        call.api_base.removeprefix("https://").removeprefix("http://").partition("/")[0].partition(":")
    )
    if host:
        found["server.address"] = host
        if port.isdigit():
            found["server.port"] = int(port)
    return found


def _outcome(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = {"gen_ai.request.stream": call.stream, "spend.call_id": call.call_id}
    found.update(_counts(call))
    optional = {
        "gen_ai.response.id": call.response_id,
        "gen_ai.conversation.id": call.attribution.session_id,
        "http.response.status_code": call.status_code,
        "error.type": call.error_type,
        "spend.end_user": call.attribution.end_user,
        "spend.team_id": call.attribution.team_id,
        "spend.usage_source": str(call.usage_source),
        "spend.pricing_status": str(call.cost.status),
        "spend.unpriced_reason": call.cost.reason if call.cost.amount is None else None,
    }
    found.update({name: value for name, value in optional.items() if value is not None})
    if call.finish_reason:
        found["gen_ai.response.finish_reasons"] = (call.finish_reason,)
    if call.first_token_at is not None and call.stream:
        found["gen_ai.response.time_to_first_chunk"] = call.first_token_at - call.started_at
    if call.attribution.tags:
        found["spend.tags"] = call.attribution.tags
    if call.attempt:
        found["http.request.resend_count"] = call.attempt
    if call.cost.amount is not None:
        # A float at the border: the span formats know no decimals.
        found["gen_ai.usage.cost"] = found["operation.cost"] = float(call.cost.amount)
    return found


def _counts(call: Call) -> dict[str, int]:
    if call.usage_source is UsageSource.NONE:
        return {}
    usage = call.usage
    found = {
        "gen_ai.usage.input_tokens": usage.overall("input_tokens"),
        "gen_ai.usage.output_tokens": usage.overall("output_tokens"),
    }
    parts = {
        "gen_ai.usage.cache_read.input_tokens": usage.overall("cache_read_tokens"),
        "gen_ai.usage.cache_creation.input_tokens": usage.overall("cache_write_tokens"),
        "gen_ai.usage.reasoning.output_tokens": usage.overall("reasoning_tokens"),
    }
    found.update({name: count for name, count in parts.items() if count})
    return found
