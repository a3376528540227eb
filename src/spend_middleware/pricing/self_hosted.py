"""Models that run on machines of one's own, and so have no price."""

from __future__ import annotations

from spend_middleware.call import Call, Cost, PricingStatus

OPEN_WEIGHTS = (
    "llama", "qwen", "qwq", "gemma", "mistral", "mixtral", "ministral", "devstral", "codestral", "phi",
    "deepseek", "granite", "gpt-oss", "falcon", "yi-", "vicuna", "opt-", "olmo", "smollm", "starcoder",
    "command-r", "glm-", "nomic-embed", "text-embedding-nomic", "embeddinggemma", "nemotron",
    "minimax-", "hermes", "internlm", "exaone", "zephyr", "minicpm", "moondream", "magistral", "bge-",
    "e5-", "mxbai", "all-minilm", "tinyllama", "codellama", "wizard", "llava", "kimi-",
)  # fmt: skip
"""How the names of models begin whose weights are free to download."""

# LiteLLM's names of servers that people run themselves: what `Settings.providers` may call a host.
SELF_HOSTED = frozenset(
    ("hosted_vllm", "vllm", "lm_studio", "llamafile", "docker_model_runner", "xinference")
)


def is_self_hosted(call: Call, cost: Cost) -> bool:
    """Whether a call to a host of this machine or network went to a model that runs there.

    Open weights do, though a vendor may sell them too. Of other names only those that no list prices, and of these
    not the bare ones: a name that nobody knows may stand for a gateway's alias, and is unpriced.
    """
    name = call.model.lower()
    if cost.amount is not None:
        return cost.status is PricingStatus.PRICED and name.rpartition("/")[2].startswith(OPEN_WEIGHTS)
    if call.provider == "ollama" or call.provider in SELF_HOSTED:
        return True
    return "/" in name or name.startswith(OPEN_WEIGHTS)
