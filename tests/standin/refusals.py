"""What each provider refuses in a request body: one function a provider, with the vendor's own error body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Refusal = tuple[int, dict[str, Any]]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# https://platform.openai.com/docs/api-reference/chat/create, /responses/create, /embeddings/create, /completions/create
OPENAI = _names("""audio background best_of conversation dimensions echo encoding_format frequency_penalty function_call functions
    include input instructions logit_bias logprobs max_completion_tokens max_output_tokens max_tokens max_tool_calls
    messages metadata modalities model moderation n parallel_tool_calls prediction presence_penalty previous_response_id prompt
    prompt_cache_key prompt_cache_retention reasoning reasoning_effort response_format safety_identifier seed
    service_tier stop store stream stream_options suffix temperature text tool_choice tools top_logprobs top_p
    truncation user verbosity web_search_options""")

# https://docs.anthropic.com/en/api/messages
ANTHROPIC = _names("""cache_control container context_management inference_geo max_tokens mcp_servers messages metadata model
    output_config output_format service_tier speed stop_sequences stream system temperature thinking tool_choice tools
    top_k top_p""")

# https://ai.google.dev/api/generate-content, /embeddings
GEMINI = _names("""cachedContent content contents generationConfig model outputDimensionality requests safetySettings serviceTier
    store systemInstruction taskType title toolConfig tools""")

# https://docs.mistral.ai/api
MISTRAL = _names("""dimensions encoding_format frequency_penalty guardrails input max_tokens messages model n output_dimension output_dtype
    parallel_tool_calls prediction presence_penalty prompt prompt_cache_key prompt_mode random_seed reasoning_effort
    response_format safe_prompt stop stream suffix temperature tool_choice tools top_p""")

# https://docs.cohere.com/reference/chat
COHERE = _names("""citation_options documents embedding_types frequency_penalty input_type inputs k logprobs max_tokens messages
    model output_dimension p presence_penalty priority raw_prompting reasoning_effort response_format safety_mode seed
    stop_sequences stream strict_tools temperature texts thinking tool_choice tools truncate""")


def openai(body: Mapping[str, Any]) -> Refusal | None:
    """Metadata is a map of strings to strings; a key that is not documented is refused by name."""
    for name, value in (body.get("metadata") or {}).items():
        if not isinstance(value, str):
            kind = "an array" if isinstance(value, list) else "an object"
            text = f"Invalid type for 'metadata.{name}': expected a string, but got {kind} instead."
            return 400, _openai_error(text, f"metadata.{name}", "invalid_type")
    unknown = sorted(set(body) - OPENAI)
    if "input" in body and (body.get("stream_options") or {}).get("include_usage") is not None:
        unknown.append("stream_options.include_usage")
    if unknown:
        return 400, _openai_error(f"Unknown parameter: '{unknown[0]}'.", unknown[0], "unknown_parameter")
    return None


def _openai_error(message: str, name: str, code: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": name, "code": code}}


def anthropic(body: Mapping[str, Any]) -> Refusal | None:
    """Nothing undocumented is taken, and in metadata only user_id, which may be no address."""
    unknown = [f"metadata.{name}" for name in (body.get("metadata") or {}) if name != "user_id"]
    unknown += sorted(set(body) - ANTHROPIC)
    text = f"{unknown[0]}: Extra inputs are not permitted" if unknown else ""
    if "@" in str((body.get("metadata") or {}).get("user_id")):
        text = "metadata.user_id: user_id appears to contain an email address"
    if not text:
        return None
    return 400, {"type": "error", "error": {"type": "invalid_request_error", "message": text}}


def gemini(body: Mapping[str, Any]) -> Refusal | None:
    """Protobuf's JSON parser names the first field that it does not know."""
    unknown = sorted(set(body) - GEMINI)
    if not unknown:
        return None
    text = f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.'
    return 400, {"error": {"code": 400, "message": text, "status": "INVALID_ARGUMENT"}}


def mistral(body: Mapping[str, Any]) -> Refusal | None:
    """Unknown fields are answered with pydantic's list of faults."""
    unknown = sorted(set(body) - MISTRAL)
    if not unknown:
        return None
    fault = {"type": "extra_forbidden", "loc": ["body", unknown[0]], "msg": "Extra inputs are not permitted"}
    return 422, {"object": "error", "message": {"detail": [fault]}, "type": "invalid_request_error"}


def groq(body: Mapping[str, Any]) -> Refusal | None:
    """Like OpenAI, but metadata is not supported at all."""
    if "metadata" in body:
        return 400, _openai_error("`metadata` is not supported with this model", "metadata", "unsupported")
    return openai(body)


def cohere(body: Mapping[str, Any]) -> Refusal | None:
    """Unknown fields are named in one sentence."""
    unknown = sorted(set(body) - COHERE)
    if not unknown:
        return None
    return 422, {"message": f"unknown field: parameter '{unknown[0]}' is not a valid field"}


def nothing(body: Mapping[str, Any]) -> Refusal | None:
    """A LiteLLM proxy, and most local servers, take any field."""
    return None


REFUSALS: dict[str, Callable[[Mapping[str, Any]], Refusal | None]] = {
    "openai": openai,
    "azure": openai,
    "anthropic": anthropic,
    "gemini": gemini,
    "mistral": mistral,
    "groq": groq,
    "cohere": cohere,
    "litellm": nothing,
    "local": nothing,
}
