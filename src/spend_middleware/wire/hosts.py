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
        families=("openai", "anthropic"),
        accepts=USER_AND_METADATA,
        usage_on_request=True,
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
        families=("openai", "anthropic", "mistral", "cohere"),
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
    Host("mistral", ("api.mistral.ai",), families=("mistral", "openai"), accepts=NOTHING),
    Host("codestral", ("codestral.mistral.ai",), families=("mistral", "openai"), accepts=NOTHING),
    # https://console.groq.com/docs/api-reference : `user` yes, `metadata` "is not supported with this model".
    Host("groq", ("api.groq.com",), formats={"openai.chat": "groq.chat"}),
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
    Host("voyage", ("api.voyageai.com", "ai.mongodb.com"), families=("voyage", "openai"), accepts=NOTHING),
    Host("jina_ai", ("api.jina.ai",), families=("openai",), accepts=NOTHING),
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

# LiteLLM's provider name -> the hosts of its OpenAI-compatible API, as each vendor's own documents give them.
COMPATIBLE: Mapping[str, tuple[str, ...]] = {
    "abliteration": ("api.abliteration.ai",),
    "ai21": ("api.ai21.com",),
    "aiand": ("api.aiand.com",),
    "aihubmix": ("aihubmix.com",),
    "aiml": ("api.aimlapi.com",),
    "amazon_nova": ("api.nova.amazon.com",),
    "anyscale": ("api.endpoints.anyscale.com",),
    "apertis": ("api.stima.tech",),
    "assemblyai": ("llm-gateway.assemblyai.com",),
    "baseten": ("inference.baseten.co", "*.api.baseten.co"),
    "cerebras": ("api.cerebras.ai",),
    "charity_engine": ("api.charityengine.services",),
    "chutes": ("llm.chutes.ai",),
    "clarifai": ("api.clarifai.com",),
    "clf_ai_gateway": ("api.clfaigateway.dev",),
    "cognition": ("api.cognition.ai",),
    "cometapi": ("api.cometapi.com",),
    "compactifai": ("api.compactif.ai",),
    "coralbricks": ("inference.coralbricks.ai",),
    "cortecs": ("api.cortecs.ai",),
    "crusoe": ("api.inference.crusoecloud.com",),
    "darkbloom": ("api.darkbloom.dev",),
    "dashscope": (
        "dashscope.aliyuncs.com",
        "dashscope-intl.aliyuncs.com",
        "dashscope-us.aliyuncs.com",
        "cn-hongkong.dashscope.aliyuncs.com",
    ),
    "deepinfra": ("api.deepinfra.com",),
    "edenai": ("api.edenai.run",),
    "empiriolabs": ("api.empiriolabs.ai",),
    "empower": ("app.empower.dev",),
    "featherless_ai": ("api.featherless.ai",),
    "fireworks_ai": ("api.fireworks.ai",),
    "friendliai": ("api.friendli.ai",),
    "galadriel": ("api.galadriel.ai", "api.galadriel.com"),
    "gigachat": ("gigachat.devices.sberbank.ru",),
    "github": ("models.inference.ai.azure.com", "models.github.ai"),
    "github_copilot": ("api.githubcopilot.com", "api.*.githubcopilot.com"),
    "gmi": ("api.gmi-serving.com",),
    "gradient_ai": ("inference.do-ai.run",),
    "heroku": ("*.inference.heroku.com",),
    "hostinger_router": ("router.hostinger.com",),
    "hyperbolic": ("api.hyperbolic.xyz",),
    "inception": ("api.inceptionlabs.ai",),
    "inferenceapis": ("api.inferenceapis.com",),
    "kyma": ("kymaapi.com",),
    "lambda_ai": ("api.lambda.ai", "api.lambdalabs.com"),
    "libertai": ("api.libertai.io",),
    "llamagate": ("api.llamagate.dev",),
    "meta": ("api.meta.ai",),
    "meta_llama": ("api.llama.com",),
    "minimax": ("api.minimax.io", "api.minimaxi.com", "api.minimax.chat"),
    "modelscope": ("api-inference.modelscope.cn",),
    "moonshot": ("api.moonshot.ai", "api.moonshot.cn"),
    "morph": ("api.morphllm.com",),
    "nano-gpt": ("nano-gpt.com",),
    "nebius": ("api.studio.nebius.ai", "api.studio.nebius.com", "api.tokenfactory.nebius.com"),
    "neosantara": ("api.neosantara.xyz",),
    "nlp_cloud": ("api.nlpcloud.io",),
    "novita": ("api.novita.ai",),
    "nscale": ("inference.api.nscale.com",),
    "nvidia_nim": ("integrate.api.nvidia.com",),
    "oci": ("inference.generativeai.*.oci.oraclecloud.com",),
    "opencode_go": ("opencode.ai",),
    "openinfer": ("api.openinfer.ai",),
    "ovhcloud": ("oai.endpoints.kepler.ai.cloud.ovh.net", "*.endpoints.kepler.ai.cloud.ovh.net"),
    "parasail": ("api.parasail.io",),
    "pinstripes": ("pinstripes.io",),
    "poe": ("api.poe.com",),
    "prism": ("api.prisminference.com",),
    "publicai": ("api.publicai.co", "platform.publicai.co"),
    "refuseless": ("api.refuseless.com",),
    "recraft": ("external.api.recraft.ai",),
    "reka": ("api.reka.ai",),
    "sail": ("api.sailresearch.com",),
    "sambanova": ("api.sambanova.ai",),
    "sarvam": ("api.sarvam.ai",),
    "scaledown": ("api.scaledown.xyz",),
    "scaleway": ("api.scaleway.ai",),
    "scx-ai": ("api.scx.ai",),
    "streamlake": ("vanchin.streamlake.ai",),
    "synthetic": ("api.synthetic.new",),
    "tencent": (
        "tokenhub-intl.tencentcloudmaas.com",
        "tokenhub.tencentcloudmaas.com",
        "api.hunyuan.cloud.tencent.com",
    ),
    "tensormesh": ("serverless.tensormesh.ai",),
    "together_ai": ("api.together.xyz", "api.together.ai"),
    "v0": ("api.v0.dev",),
    "veniceai": ("api.venice.ai",),
    "volcengine": ("ark.cn-beijing.volces.com", "ark.*.volces.com", "ark.*.bytepluses.com"),
    "wandb": ("api.inference.wandb.ai",),
    "xiaomi_mimo": ("api.xiaomimimo.com",),
    "zai": ("api.z.ai", "open.bigmodel.cn"),
    "zerogpu": ("api.zerogpu.ai",),
}

# Gateways: what stands behind is named by the path, by an answer's header, or by the model alone.
GATEWAYS: Mapping[str, tuple[str, ...]] = {
    "cloudflare_gateway": ("gateway.ai.cloudflare.com",),
    "pydantic_gateway": ("gateway.pydantic.dev", "gateway-*.pydantic.dev"),
    "portkey": ("api.portkey.ai", "*.portkey.ai"),
    "helicone": ("ai-gateway.helicone.ai", "oai.helicone.ai", "anthropic.helicone.ai", "gateway.helicone.ai"),
    "vercel_ai_gateway": ("ai-gateway.vercel.sh",),
    "braintrust": ("api.braintrust.dev", "gateway.braintrust.dev"),
    "requesty": ("router.requesty.ai",),
    "unify": ("api.unify.ai",),
}

# Names of upstreams as gateways and routers write them in a path -> LiteLLM's names.
UPSTREAMS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "aws-bedrock": "bedrock",
    "azure": "azure",
    "azure-openai": "azure",
    "baseten": "baseten",
    "bedrock": "bedrock",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "featherless-ai": "featherless_ai",
    "fireworks": "fireworks_ai",
    "fireworks-ai": "fireworks_ai",
    "gemini": "gemini",
    "google-ai-studio": "gemini",
    "google-gla": "gemini",
    "google-vertex": "vertex_ai",
    "google-vertex-ai": "vertex_ai",
    "grok": "xai",
    "groq": "groq",
    "hyperbolic": "hyperbolic",
    "mistral": "mistral",
    "nebius": "nebius",
    "novita": "novita",
    "nscale": "nscale",
    "openai": "openai",
    "openrouter": "openrouter",
    "ovhcloud": "ovhcloud",
    "perplexity-ai": "perplexity",
    "publicai": "publicai",
    "replicate": "replicate",
    "sambanova": "sambanova",
    "scaleway": "scaleway",
    "together": "together_ai",
    "vertex": "vertex_ai",
    "vertex-ai": "vertex_ai",
    "workers-ai": "cloudflare",
    "xai": "xai",
    "zai-org": "zai",
}

# Hosts that only echo or record what they are sent: nobody bills for them, whatever the path looks like.
ECHO_HOSTS: tuple[str, ...] = (
    "httpbin.org",
    "*.httpbin.org",
    "postman-echo.com",
    "webhook.site",
    "mockbin.org",
    "mockbin.io",
    "*.mockbin.io",
    "*.beeceptor.com",
    "*.requestcatcher.com",
    "*.pipedream.net",
    "*.mockapi.io",
    "*.mocky.io",
)
