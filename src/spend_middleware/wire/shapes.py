"""The shapes of the paths that cost money, by API family; a path's shape alone tells how its answer is read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of path.

    Args:
        family: The API that the path belongs to, such as "openai" or "anthropic".
        tail: How the path ends: `{id}` is any one segment, `{model}` the model, `{model+}` the model with slashes.
        operation: LiteLLM's call type.
        wire_format: The key of the reader.
        certain: False when other services have paths of this shape as well.
    """

    family: str
    tail: str
    operation: str
    wire_format: str
    method: str = "POST"
    upload: bool = False
    follow_up: bool = False
    certain: bool = True


_OPENAI = (
    # https://platform.openai.com/docs/api-reference
    Shape("openai", "chat/completions", "completion", "openai.chat"),
    # https://docs.mistral.ai/api : fill-in-the-middle and agents answer as chat does.
    Shape("openai", "fim/completions", "text_completion", "openai.chat"),
    Shape("openai", "agents/completions", "completion", "openai.chat"),
    # https://portkey.ai/docs/api-reference/inference-api/prompts/prompt-completion
    Shape("openai", "prompts/{id}/completions", "completion", "openai.chat"),
    Shape("openai", "v1/completions", "text_completion", "openai.completions"),
    Shape("openai", "completions", "text_completion", "openai.completions", certain=False),
    Shape("openai", "v1/responses", "responses", "openai.responses", certain=False),
    Shape("openai", "responses/compact", "responses", "openai.responses"),
    Shape("openai", "openai/responses", "responses", "openai.responses", certain=False),
    Shape("openai", "responses", "responses", "openai.responses", certain=False),
    Shape("openai", "responses/{id}", "responses", "openai.responses", "GET", follow_up=True, certain=False),
    Shape("openai", "v1/embeddings", "embedding", "openai.embeddings"),
    Shape("openai", "embeddings", "embedding", "openai.embeddings", certain=False),
    Shape("openai", "images/generations", "image_generation", "openai.images"),
    Shape("openai", "images/edits", "image_edit", "openai.images", upload=True),
    Shape("openai", "images/variations", "image_variation", "openai.images", upload=True),
    Shape("openai", "audio/transcriptions", "transcription", "openai.transcription", upload=True),
    Shape("openai", "audio/translations", "transcription", "openai.transcription", upload=True),
    Shape("openai", "audio/speech", "speech", "openai.speech"),
    Shape("openai", "v1/moderations", "moderation", "openai.moderations"),
    Shape("openai", "v1/batches", "batch", "openai.batches", certain=False),
    Shape("openai", "openai/batches", "batch", "openai.batches", certain=False),
    Shape("openai", "v1/batches/{id}", "batch", "openai.batches", "GET", follow_up=True, certain=False),
    Shape("openai", "openai/batches/{id}", "batch", "openai.batches", "GET", follow_up=True, certain=False),
    Shape("openai", "threads/runs", "assistants", "openai.runs", certain=False),
    Shape("openai", "threads/{id}/runs", "assistants", "openai.runs", certain=False),
    Shape("openai", "runs/{id}/submit_tool_outputs", "assistants", "openai.runs", certain=False),
    Shape(
        "openai", "threads/{id}/runs/{id}", "assistants", "openai.runs", "GET", follow_up=True, certain=False
    ),
    Shape("openai", "v1/videos", "video_generation", "openai.videos", certain=False),
    *(
        Shape("openai", f"videos/{kind}", "video_generation", "openai.videos", certain=False)
        for kind in ("{id}/remix", "edits", "extensions")
    ),
    Shape(
        "openai", "v1/videos/{id}", "video_generation", "openai.videos", "GET", follow_up=True, certain=False
    ),
    Shape("openai", "openai/v1/video/generations/jobs", "video_generation", "openai.videos"),
    Shape("openai", "generations/jobs/{id}", "video_generation", "openai.videos", "GET", follow_up=True),
    Shape("openai", "v1/rerank", "rerank", "cohere.rerank", certain=False),
    Shape("openai", "v2/rerank", "rerank", "cohere.rerank", certain=False),
    # vLLM and LiteLLM's proxy: https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
    Shape("openai", "rerank", "rerank", "cohere.rerank", certain=False),
)

_XAI = (
    # https://docs.x.ai/docs/api-reference
    Shape("xai", "v1/videos/generations", "video_generation", "openai.videos"),
    Shape("xai", "v1/videos/edits", "video_generation", "openai.videos"),
    Shape("xai", "v1/videos/extensions", "video_generation", "openai.videos"),
    Shape("xai", "chat/deferred-completion/{id}", "completion", "xai.chat", "GET", follow_up=True),
    Shape("xai", "batches/{id}/results", "batch", "openai.batches", "GET", follow_up=True),
    Shape("xai", "v1/stt", "transcription", "xai.stt", upload=True),
    Shape("xai", "v1/tts", "speech", "xai.tts"),
)

_ANTHROPIC = (
    # https://docs.anthropic.com/en/api/messages
    Shape("anthropic", "v1/messages", "completion", "anthropic.messages", certain=False),
    Shape("anthropic", "v1/complete", "text_completion", "anthropic.complete", certain=False),
    Shape("anthropic", "v1/messages/batches", "batch", "anthropic.batches", certain=False),
    Shape("anthropic", "messages/batches/{id}", "batch", "anthropic.batches", "GET", follow_up=True),
    Shape("anthropic", "messages/batches/{id}/results", "batch", "anthropic.batches", "GET", follow_up=True),
)

_GOOGLE = (
    # https://ai.google.dev/api and https://cloud.google.com/vertex-ai/docs/reference/rest
    Shape("google", "models/{model}:generateContent", "completion", "gemini.generateContent"),
    Shape("google", "models/{model}:streamGenerateContent", "completion", "gemini.generateContent"),
    Shape("google", "endpoints/{model}:generateContent", "completion", "gemini.generateContent"),
    Shape("google", "endpoints/{model}:streamGenerateContent", "completion", "gemini.generateContent"),
    Shape("google", "models/{model}:generateAnswer", "completion", "gemini.generateContent"),
    # Models that were tuned in AI Studio: https://ai.google.dev/api/tuning
    Shape("google", "tunedModels/{model}:generateContent", "completion", "gemini.generateContent"),
    Shape("google", "tunedModels/{model}:streamGenerateContent", "completion", "gemini.generateContent"),
    Shape("google", "models/{model}:embedContent", "embedding", "gemini.embedContent"),
    Shape("google", "models/{model}:batchEmbedContents", "embedding", "gemini.embedContent"),
    Shape("google", "models/{model}:predict", "embedding", "vertex.predict", certain=False),
    Shape("google", "endpoints/{model}:predict", "completion", "vertex.predict", certain=False),
    Shape("google", "models/{model}:predictLongRunning", "video_generation", "vertex.operation"),
    Shape(
        "google",
        "operations/{id}",
        "video_generation",
        "vertex.operation",
        "GET",
        follow_up=True,
        certain=False,
    ),
    Shape(
        "google",
        "models/{model}:fetchPredictOperation",
        "video_generation",
        "vertex.operation",
        follow_up=True,
    ),
    Shape("google", "models/{model}:batchGenerateContent", "batch", "gemini.batches"),
    Shape("google", "models/{model}:asyncBatchEmbedContent", "batch", "gemini.batches"),
    Shape("google", "batches/{id}", "batch", "gemini.batches", "GET", follow_up=True, certain=False),
    Shape(
        "google", "files/{id}:download", "batch", "gemini.batch_lines", "GET", follow_up=True, certain=False
    ),
    Shape("google", "interactions", "completion", "gemini.interactions", certain=False),
    Shape(
        "google",
        "interactions/{id}",
        "completion",
        "gemini.interactions",
        "GET",
        follow_up=True,
        certain=False,
    ),
    # Partner models: the body is the publisher's own; the reader is chosen by publisher in the table.
    Shape("google", "models/{model}:rawPredict", "completion", "vertex.rawPredict"),
    Shape("google", "models/{model}:streamRawPredict", "completion", "vertex.rawPredict"),
    Shape("google", "endpoints/{model}:rawPredict", "completion", "vertex.rawPredict"),
    Shape("google", "endpoints/{model}:streamRawPredict", "completion", "vertex.rawPredict"),
)

_BEDROCK = (
    # https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html
    Shape("bedrock", "model/{model+}/converse", "completion", "bedrock.converse"),
    Shape("bedrock", "model/{model+}/converse-stream", "completion", "bedrock.converse"),
    Shape("bedrock", "model/{model+}/invoke", "completion", "bedrock.invoke"),
    Shape("bedrock", "model/{model+}/invoke-with-response-stream", "completion", "bedrock.invoke"),
    Shape("bedrock", "async-invoke", "video_generation", "bedrock.async_invoke", certain=False),
    Shape("bedrock", "guardrail/{model}/version/{id}/apply", "guardrail", "bedrock.guardrail"),
)

_BEDROCK_AGENT = (
    # https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent-runtime_InvokeAgent.html
    Shape("bedrock_agent", "agents/{model}/agentAliases/{id}/sessions/{id}/text", "agent", "bedrock.agent"),
    Shape("bedrock_agent", "agents/{model}/sessions/{id}", "agent", "bedrock.agent"),
    Shape("bedrock_agent", "flows/{model}/aliases/{id}", "agent", "bedrock.agent"),
    Shape("bedrock_agent", "retrieveAndGenerate", "agent", "bedrock.agent"),
    Shape("bedrock_agent", "retrieveAndGenerateStream", "agent", "bedrock.agent"),
    Shape("bedrock_agent", "rerank", "rerank", "bedrock.rerank"),
)

_COHERE = (
    # https://docs.cohere.com/reference/about
    Shape("cohere", "v2/chat", "completion", "cohere.chat", certain=False),
    Shape("cohere", "v1/chat", "completion", "cohere.chat", certain=False),
    Shape("cohere", "v1/generate", "text_completion", "cohere.chat", certain=False),
    Shape("cohere", "v1/summarize", "completion", "cohere.chat", certain=False),
    Shape("cohere", "v2/embed", "embedding", "cohere.embed", certain=False),
    Shape("cohere", "v1/embed", "embedding", "cohere.embed", certain=False),
    Shape("cohere", "v1/classify", "completion", "cohere.chat", certain=False),
    Shape("cohere", "v2/rerank", "rerank", "cohere.rerank", certain=False),
    Shape("cohere", "v1/rerank", "rerank", "cohere.rerank", certain=False),
)

_OLLAMA = (
    # https://github.com/ollama/ollama/blob/main/docs/api.md ; other services have such paths too.
    Shape("ollama", "api/chat", "completion", "ollama.native", certain=False),
    Shape("ollama", "api/generate", "text_completion", "ollama.native", certain=False),
    Shape("ollama", "api/embed", "embedding", "ollama.native", certain=False),
    Shape("ollama", "api/embeddings", "embedding", "ollama.native", certain=False),
)

SHAPES = (
    *_OPENAI,
    *_XAI,
    *_ANTHROPIC,
    *_GOOGLE,
    *_BEDROCK,
    *_BEDROCK_AGENT,
    *_COHERE,
    *_OLLAMA,
)
