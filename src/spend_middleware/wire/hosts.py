"""The providers by host: one row each. An OpenAI-compatible provider is one row in `COMPATIBLE`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

OPENAI_ONLY = ("openai",)

USER = frozenset({"user"})
USER_AND_METADATA = frozenset({"user", "metadata"})
NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Host:
    """One provider.

    Args:
        provider: LiteLLM's name of the provider.
        names: Host names; `*` stands for any run of characters, `{region}` for a region.
        families: Whose paths the host serves, first match wins.
        accepts: Our fields that the provider takes in a request body (`Route.accepts`).
        formats: Readers that differ from the family's own.
        usage_on_request: True where `stream_options.include_usage` is documented.
        prefix: The path must start with this, for hosts that serve other things as well.
    """

    provider: str
    names: tuple[str, ...]
    families: tuple[str, ...] = OPENAI_ONLY
    accepts: frozenset[str] = USER
    formats: Mapping[str, str] = field(default_factory=dict)
    usage_on_request: bool = False
    prefix: str = ""


HOSTS: tuple[Host, ...] = (
    # https://platform.openai.com/docs/api-reference/chat/create : `metadata` is a map of strings, `user` is taken.
    Host(
        "openai",
        ("api.openai.com", "*.api.openai.com"),
        families=("openai", "openai_own"),
        accepts=USER_AND_METADATA,
        usage_on_request=True,
    ),
    # https://learn.microsoft.com/azure/ai-services/openai/reference ; China and Government have hosts of their own.
    Host(
        "azure",
        (
            "*.openai.azure.com",
            "*.cognitiveservices.azure.com",
            "*.openai.azure.us",
            "*.openai.azure.cn",
            "*.cognitiveservices.azure.us",
            "*.cognitiveservices.azure.cn",
            "*.api.cognitive.microsoft.com",
            "*.azure-api.net",
        ),
        families=("openai", "openai_own", "anthropic", "azure_speech"),
        accepts=USER_AND_METADATA,
        usage_on_request=True,
    ),
    Host(
        "azure",
        ("{region}.stt.speech.microsoft.com", "{region}.tts.speech.microsoft.com"),
        families=("azure_speech",),
        accepts=NOTHING,
    ),
    # https://learn.microsoft.com/azure/ai-foundry : /models is the model inference API, /openai Azure OpenAI.
    Host(
        "azure_ai",
        (
            "*.services.ai.azure.com",
            "*.models.ai.azure.com",
            "*.inference.ai.azure.com",
            "*.inference.ml.azure.com",
        ),
        families=("openai", "anthropic", "mistral", "cohere", "azure_pictures"),
        accepts=USER,
    ),
    # https://docs.anthropic.com/en/api/messages : `metadata.user_id` is the only key; the rest answers 400.
    Host(
        "anthropic",
        ("api.anthropic.com",),
        families=("anthropic", "openai"),
        accepts=frozenset({"metadata.user_id"}),
    ),
    # https://ai.google.dev/api : unknown names answer 400, under /v1beta/openai too.
    Host(
        "gemini",
        ("generativelanguage.googleapis.com",),
        families=("google", "openai"),
        accepts=NOTHING,
        formats={"openai.chat": "gemini.chat"},
    ),
    # https://cloud.google.com/vertex-ai/docs/reference/rest
    Host(
        "vertex_ai",
        (
            "aiplatform.googleapis.com",
            "{region}-aiplatform.googleapis.com",
            "aiplatform.*.rep.googleapis.com",
        ),
        families=("google", "openai"),
        accepts=NOTHING,
        formats={"openai.chat": "gemini.chat"},
    ),
    Host(
        "bedrock",
        (
            "bedrock-runtime.{region}.amazonaws.com",
            "bedrock-runtime-fips.{region}.amazonaws.com",
            "bedrock-runtime.{region}.amazonaws.com.cn",
            "bedrock-runtime.{region}.api.aws",
            "*.bedrock-runtime.{region}.vpce.amazonaws.com",
        ),
        families=("bedrock", "openai", "anthropic"),
        accepts=NOTHING,
    ),
    # https://docs.aws.amazon.com/bedrock/latest/userguide/bedrock-mantle.html
    Host(
        "bedrock_mantle",
        ("bedrock-mantle.{region}.api.aws", "bedrock-mantle.{region}.amazonaws.com"),
        families=("openai", "anthropic"),
        accepts=USER,
    ),
    Host(
        "bedrock",
        ("bedrock-agent-runtime.{region}.amazonaws.com", "bedrock-agent-runtime-fips.{region}.amazonaws.com"),
        families=("bedrock_agent",),
        accepts=NOTHING,
    ),
    Host(
        "sagemaker",
        ("runtime.sagemaker.{region}.amazonaws.com", "runtime.sagemaker-fips.{region}.amazonaws.com"),
        families=("sagemaker",),
        accepts=NOTHING,
    ),
    # https://docs.mistral.ai/api : unknown keys answer 422.
    Host("mistral", ("api.mistral.ai",), families=("mistral", "openai", "batch_files"), accepts=NOTHING),
    Host("codestral", ("codestral.mistral.ai",), families=("mistral", "openai"), accepts=NOTHING),
    # https://console.groq.com/docs/api-reference : `user` yes, `metadata` "is not supported with this model".
    Host("groq", ("api.groq.com",), families=("openai", "batch_files"), formats={"openai.chat": "groq.chat"}),
    # https://docs.cohere.com/reference/chat : unknown fields answer 422.
    Host(
        "cohere",
        ("api.cohere.com", "api.cohere.ai", "*.api.cohere.com"),
        families=("cohere", "openai"),
        accepts=NOTHING,
        formats={"openai.embeddings": "cohere.embed"},
    ),
    # https://docs.x.ai/docs/api-reference : any `metadata` answers 422.
    Host(
        "xai",
        ("api.x.ai", "*.api.x.ai"),
        families=("xai", "openai", "anthropic"),
        formats={"openai.chat": "xai.chat"},
    ),
    # https://openrouter.ai/docs/api-reference/overview
    Host(
        "openrouter",
        ("openrouter.ai", "api.openrouter.ai", "*.openrouter.ai"),
        families=("openrouter", "openai"),
        accepts=USER_AND_METADATA,
    ),
    # https://docs.perplexity.ai/api-reference
    Host(
        "perplexity",
        ("api.perplexity.ai",),
        families=("perplexity", "openai"),
        formats={"openai.chat": "perplexity.chat"},
    ),
    Host("deepseek", ("api.deepseek.com",), families=("openai", "anthropic")),
    # https://huggingface.co/docs/inference-providers : the first part of the path names who answers.
    Host(
        "huggingface",
        ("router.huggingface.co", "api-inference.huggingface.co"),
        families=("openai", "huggingface"),
    ),
    Host("huggingface", ("*.endpoints.huggingface.cloud",), families=("openai", "huggingface", "tgi_root")),
    # https://help.aliyun.com/zh/model-studio and https://platform.minimax.io/docs : an API of their own, and OpenAI's.
    Host(
        "dashscope",
        (
            "dashscope.aliyuncs.com",
            "dashscope-intl.aliyuncs.com",
            "dashscope-us.aliyuncs.com",
            "cn-hongkong.dashscope.aliyuncs.com",
        ),
        families=("openai", "anthropic", "dashscope"),
    ),
    Host(
        "minimax",
        ("api.minimax.io", "api.minimaxi.com", "api.minimax.chat"),
        families=("openai", "anthropic", "minimax"),
    ),
    Host("voyage", ("api.voyageai.com", "ai.mongodb.com"), families=("voyage", "openai"), accepts=NOTHING),
    Host("jina_ai", ("api.jina.ai", "deepsearch.jina.ai"), families=("openai",), accepts=NOTHING),
    Host("deepgram", ("api.deepgram.com", "api.eu.deepgram.com"), families=("deepgram",), accepts=NOTHING),
    Host(
        "elevenlabs", ("api.elevenlabs.io", "api.*.elevenlabs.io"), families=("elevenlabs",), accepts=NOTHING
    ),
    Host(
        "assemblyai",
        ("api.assemblyai.com", "api.eu.assemblyai.com"),
        families=("assemblyai",),
        accepts=NOTHING,
    ),
    Host("stability", ("api.stability.ai",), families=("stability",), accepts=NOTHING),
    Host(
        "black_forest_labs",
        ("api.bfl.ai", "api.*.bfl.ai", "api.bfl.ml"),
        families=("black_forest_labs",),
        accepts=NOTHING,
    ),
    Host("fal_ai", ("fal.run", "queue.fal.run"), families=("fal_ai",), accepts=NOTHING),
    Host("runwayml", ("api.dev.runwayml.com",), families=("runwayml",), accepts=NOTHING),
    Host("writer", ("api.writer.com",), families=("writer", "openai"), accepts=NOTHING),
    Host("watsonx", ("*.ml.cloud.ibm.com",), families=("watsonx",), accepts=NOTHING),
    Host("replicate", ("api.replicate.com",), families=("replicate",), accepts=NOTHING),
    Host("aleph_alpha", ("api.aleph-alpha.com",), families=("alephalpha", "openai"), accepts=NOTHING),
    Host("ollama", ("ollama.com", "api.ollama.com"), families=("ollama", "openai", "anthropic")),
    Host("snowflake", ("*.snowflakecomputing.com",), families=("snowflake", "openai"), accepts=NOTHING),
    Host(
        "databricks",
        ("*.cloud.databricks.com", "*.azuredatabricks.net", "*.gcp.databricks.com"),
        families=("databricks", "openai", "anthropic"),
        accepts=NOTHING,
    ),
    Host(
        "cloudflare",
        ("api.cloudflare.com",),
        families=("cloudflare", "openai"),
        accepts=NOTHING,
        prefix="/client/v4/accounts/",
    ),
)
