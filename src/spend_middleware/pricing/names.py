"""From a provider and a model name to the key of its price row; an unknown name is None, never a near guess."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_BEDROCK_ROUTES = (
    "bedrock/", "bedrock_mantle/", "converse/", "converse_like/", "invoke/", "async_invoke/", "llama/",
    "deepseek_r1/", "deepseek_v3/", "openai/", "qwen2/", "qwen3/", "nova/", "agentcore/",
)  # fmt: skip
_REGION = re.compile(r"^(?:(?:us|eu|ap|sa|ca|me|af|il|mx|cn)(?:-gov|-iso\w?)?-[a-z]+-\d)/")
_GEO = re.compile(r"^(?:us-gov|us|eu|apac|ap|au|jp|ca|sa|uk|in|me|af|il|mx|global)\.")
_CONTEXT = re.compile(
    r":\d+k$"
)  # throughput of a provisioned context length, as in cohere.command-text-v14:7:4k
_DATE = re.compile(r"-(?:20\d{2}-[01]\d-[0-3]\d|20\d{2}[01]\d[0-3]\d)$")
_VERTEX_REVISION = re.compile(r"-00\d$")
_AT_VERSION = re.compile(r"@[\w.-]+$")
# https://developers.deepgram.com/docs/tts-models : a voice of a family, as in aura-2-thalia-en; the family has the price.
_DEEPGRAM_VOICE = re.compile(r"^(aura(?:-\d+)?)-[a-z]+-[a-z]{2}$")
_GOOGLE_PATH = re.compile(r"^(?:projects/[^/]+/locations/[^/]+/)?(?:publishers/[^/]+/)?models/")
_BILLIONS = re.compile(r"(?<![\dx.])(\d+(?:[.p]\d+)?)b(?![a-z0-9])")
_EXPERTS = re.compile(r"(\d+)x(\d+)b(?![a-z0-9])")

# Row providers that belong to a provider of calls, beside those that start with its name (vertex_ai-language-models,
# bedrock_converse, fireworks_ai-embedding-models).
_RELATED = {
    "openai": ("text-completion-openai",),
    "azure": ("azure_text",),
    "azure_ai": ("azure", "openai"),
    "cohere": ("cohere_chat",),
    "cohere_chat": ("cohere",),
    "codestral": ("text-completion-codestral",),
    "mistral": ("text-completion-codestral",),
}
_FAMILIES = ("vertex_ai", "fireworks_ai", "bedrock")
_ANY_PROVIDER = frozenset({"litellm_proxy", "github"})


def fits(row_provider: str, provider: str) -> bool:
    """Return whether a row of one provider may price a call of another."""
    if not provider or not row_provider or row_provider == provider or provider in _ANY_PROVIDER:
        return True
    if any(provider.startswith(family) and row_provider.startswith(family) for family in _FAMILIES):
        return True
    return row_provider in _RELATED.get(provider, ())


def resolve(
    provider: str,
    model: str,
    find: Callable[[str], str | None],
    provider_of: Callable[[str], str],
    region: str | None = None,
) -> str | None:
    """Return the key of a model's price row.

    Args:
        provider: LiteLLM's provider name; "" takes the one before the first slash, if any.
        model: The name as asked for or answered.
        find: Returns a key as the table writes it, or None.
        provider_of: Returns the provider of a key.
        region: The Bedrock region that served the call; its own row counts where there is one.
    """
    for name in _spellings(provider, model):
        for candidate in _keys(provider, name, region):
            key = find(candidate)
            if key is not None and fits(provider_of(key), provider):
                return key
    if not provider and "/" in model:
        # "huggingface/gpt-4o" is no model of OpenAI's: what stands before the first slash is the provider.
        first, rest = model.split("/", 1)
        return resolve(first, rest, find, provider_of, region)
    return None


def _keys(provider: str, name: str, region: str | None) -> Iterator[str]:
    if provider and region and provider.startswith("bedrock"):
        yield f"bedrock/{region}/{name}"
    if provider:
        yield f"{provider}/{name}"
    yield name
    if provider:
        yield f"{provider}/{provider}/{name}"
    if provider == "azure_ai":
        yield f"azure/{name}"


def _spellings(provider: str, model: str) -> Iterator[str]:
    """Give a model's name as it stands, then with its decoration taken off piece by piece."""
    seen = set()
    for name in _undecorated(provider, model.strip()):
        if name and name not in seen:
            seen.add(name)
            yield name
    if provider == "fireworks_ai":
        size = fireworks_size(model)
        if size:
            yield size


def _undecorated(provider: str, model: str) -> Iterator[str]:
    yield model
    prefix = f"{provider}/"
    while provider and model.startswith(prefix):
        model = model[len(prefix) :]
        yield model
    if model.startswith("ft:"):
        # "ft:base:organisation:suffix:id": a fine-tuned model has its own row; its base model's price is another.
        base = ":".join(model.split(":")[:2])
        yield base
        yield _DATE.sub("", base)
        return
    yield from _by_cloud(provider, model)


def _by_cloud(provider: str, model: str) -> Iterator[str]:
    if provider.startswith(("bedrock", "sagemaker")) or (
        not provider and model.startswith(("bedrock/", "arn:"))
    ):
        yield from _bedrock(model)
        return
    if provider in ("gemini", "vertex_ai", "vertex_ai_beta") or not provider:
        model = _GOOGLE_PATH.sub("", model)
        yield model
        bare = _AT_VERSION.sub("", model)
        yield bare
        yield _VERTEX_REVISION.sub("", bare)
        model = bare
    if provider == "fireworks_ai":
        yield f"accounts/fireworks/models/{model}"
        yield model.removeprefix("accounts/fireworks/models/")
    if provider == "deepgram":
        yield _DEEPGRAM_VOICE.sub(r"\1", model)
    yield _DATE.sub("", model)


def _bedrock(model: str) -> Iterator[str]:
    if model.startswith("arn:"):
        # A profile's last path part is a model id with its geography, which costs more than the bare id; the id of an
        # application profile or a provisioned model says nothing and needs a base_model.
        model = model.rsplit("/", 1)[-1] if "/" in model else ""
    changed = True
    while changed:
        changed = False
        for route in _BEDROCK_ROUTES:
            if model.startswith(route):
                model, changed = model[len(route) :], True
                yield model
    if model.startswith("arn:"):
        yield from _bedrock(model)
        return
    yield model
    model = _CONTEXT.sub("", model)
    yield model
    regionless = _REGION.sub("", model)
    yield regionless
    yield _GEO.sub("", regionless)


def fireworks_size(model: str) -> str | None:
    """Return Fireworks' row for a model without a price of its own, by the billions of parameters in its name.

    Fireworks prices such models by size (https://fireworks.ai/pricing, "Base model").
    """
    name = model.lower()
    experts = _EXPERTS.search(name)
    if experts:
        total = int(experts[1]) * int(experts[2])
        if total <= 176:
            return "fireworks-ai-moe-up-to-56b" if total <= 56 else "fireworks-ai-56b-to-176b"
        return None
    size = _BILLIONS.search(name)
    if size is None:
        return None
    billions = float(size[1].replace("p", "."))
    if billions <= 4:
        return "fireworks-ai-up-to-4b"
    return "fireworks-ai-4.1b-to-16b" if billions <= 16 else "fireworks-ai-above-16b"
