"""The shapes of paths that one vendor alone has; see `shapes` for those of the API families."""

from __future__ import annotations

from spend_middleware.wire.shapes import Shape

_PLATFORMS = (
    # OpenAI alone: questions about an input, answered as probabilities, with the usage of a response; and containers,
    # which are billed when they are made, whichever calls then name them.
    Shape("openai_own", "v1/decisions", "decision", "openai.completions"),
    Shape("openai_own", "v1/containers", "container", "openai.containers"),
    # https://docs.mistral.ai/api
    Shape("mistral", "v1/conversations", "completion", "mistral.conversations", certain=False),
    Shape("mistral", "conversations/{id}", "completion", "mistral.conversations", certain=False),
    Shape("mistral", "conversations/{id}/restart", "completion", "mistral.conversations", certain=False),
    Shape("mistral", "v1/ocr", "ocr", "mistral.ocr", certain=False),
    Shape("mistral", "mistral/azure/ocr", "ocr", "mistral.ocr"),
    Shape("mistral", "chat/moderations", "moderation", "openai.moderations"),
    Shape("mistral", "v1/classifications", "moderation", "openai.moderations", certain=False),
    Shape("mistral", "chat/classifications", "moderation", "openai.moderations", certain=False),
    Shape("mistral", "v1/batch/jobs", "batch", "mistral.batches", certain=False),
    Shape("mistral", "batch/jobs/{id}", "batch", "mistral.batches", "GET", follow_up=True, certain=False),
    # Providers whose batch job states no usage: what is billed stands in the file of its results.
    Shape("batch_files", "files/{id}/content", "batch", "openai.batch_lines", "GET", follow_up=True),
    # https://openrouter.ai/docs/api-reference
    Shape("openrouter", "api/v1/images", "image_generation", "openai.images"),
    Shape("openrouter", "v1/messages", "completion", "anthropic.messages"),
    # https://docs.perplexity.ai/api-reference
    Shape("perplexity", "search", "search", "perplexity.search"),
    Shape("perplexity", "async/chat/completions", "completion", "perplexity.async"),
    Shape(
        "perplexity", "async/chat/completions/{id}", "completion", "perplexity.async", "GET", follow_up=True
    ),
    Shape("perplexity", "v1/sonar", "completion", "perplexity.chat"),
    Shape("perplexity", "v1/agent", "responses", "openai.responses"),
    Shape("perplexity", "v1/contextualizedembeddings", "embedding", "openai.embeddings"),
    # https://docs.voyageai.com/reference and https://jina.ai/embeddings
    Shape("voyage", "v1/multimodalembeddings", "embedding", "openai.embeddings"),
    Shape("voyage", "v1/contextualizedembeddings", "embedding", "openai.embeddings"),
    # https://developers.deepgram.com/reference
    Shape("deepgram", "v1/listen", "transcription", "deepgram.listen", upload=True),
    Shape("deepgram", "v1/speak", "speech", "deepgram.speak"),
    Shape("deepgram", "v1/read", "completion", "deepgram.listen"),
    # https://elevenlabs.io/docs/api-reference
    Shape("elevenlabs", "text-to-speech/{model}", "speech", "elevenlabs.speech"),
    Shape("elevenlabs", "text-to-speech/{model}/stream", "speech", "elevenlabs.speech"),
    Shape("elevenlabs", "v1/speech-to-text", "transcription", "openai.transcription", upload=True),
    # https://dev.writer.com/api-reference
    Shape("writer", "v1/chat", "completion", "openai.chat"),
    Shape("writer", "v1/completions", "text_completion", "openai.completions"),
    Shape("writer", "applications/{model}", "completion", "openai.chat"),
    # https://cloud.ibm.com/apidocs/watsonx-ai
    Shape("watsonx", "generation/text", "text_completion", "watsonx.generate"),
    Shape("watsonx", "generation/text_stream", "text_completion", "watsonx.generate"),
    Shape("watsonx", "text/generation", "text_completion", "watsonx.generate"),
    Shape("watsonx", "text/generation_stream", "text_completion", "watsonx.generate"),
    Shape("watsonx", "deployments/{model}/text/generation", "text_completion", "watsonx.generate"),
    Shape("watsonx", "deployments/{model}/text/generation_stream", "text_completion", "watsonx.generate"),
    Shape("watsonx", "text/chat", "completion", "openai.chat"),
    Shape("watsonx", "text/chat_stream", "completion", "openai.chat"),
    Shape("watsonx", "text/embeddings", "embedding", "watsonx.embeddings"),
    Shape("watsonx", "text/rerank", "rerank", "watsonx.embeddings"),
    # https://replicate.com/docs/reference/http
    Shape("replicate", "v1/predictions", "completion", "replicate.predictions"),
    Shape("replicate", "models/{model+}/versions/{id}/predictions", "completion", "replicate.predictions"),
    Shape("replicate", "models/{model+}/predictions", "completion", "replicate.predictions"),
    Shape("replicate", "deployments/{model+}/predictions", "completion", "replicate.predictions"),
    Shape("replicate", "v1/predictions/{id}", "completion", "replicate.predictions", "GET", follow_up=True),
    # https://docs.aleph-alpha.com/api
    Shape("alephalpha", "complete", "text_completion", "alephalpha.complete"),
    Shape("alephalpha", "embed", "embedding", "alephalpha.complete"),
    *(
        Shape("alephalpha", f"{kind}_embed", "embedding", "alephalpha.complete")
        for kind in ("semantic", "batch_semantic", "instructable")
    ),
    Shape("alephalpha", "evaluate", "completion", "alephalpha.complete"),
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
    Shape("sagemaker", "endpoints/{model}/invocations", "completion", "sagemaker.invoke"),
    Shape("sagemaker", "endpoints/{model}/invocations-response-stream", "completion", "sagemaker.invoke"),
    # https://huggingface.co/docs/inference-providers and https://huggingface.github.io/text-generation-inference
    Shape("huggingface", "models/{model+}/pipeline/feature-extraction", "embedding", "huggingface.features"),
    Shape("huggingface", "models/{model+}/pipeline/sentence-similarity", "embedding", "huggingface.features"),
    Shape("huggingface", "hf-inference/models/{model+}", "text_completion", "tgi.generate"),
    Shape("huggingface", "generate", "text_completion", "tgi.generate", certain=False),
    Shape("huggingface", "generate_stream", "text_completion", "tgi.generate", certain=False),
    Shape("tgi_root", "", "text_completion", "tgi.generate"),
    # https://docs.snowflake.com/en/user-guide/snowflake-cortex/cortex-rest-api
    Shape("snowflake", "inference:complete", "completion", "openai.chat"),
    Shape("snowflake", "cortex/v1/messages", "completion", "anthropic.messages"),
    Shape("snowflake", "inference:embed", "embedding", "openai.embeddings"),
    # https://docs.databricks.com/en/machine-learning/model-serving
    Shape("databricks", "serving-endpoints/{model}/invocations", "completion", "openai.chat"),
    # https://developers.cloudflare.com/workers-ai
    Shape("cloudflare", "ai/run/{model+}", "completion", "cloudflare.run"),
    Shape("cloudflare", "workers-ai/{model+}", "completion", "cloudflare.run"),
    # https://lmstudio.ai/docs/developer/rest/chat
    Shape("lm_studio", "api/v1/chat", "completion", "lm_studio.chat", certain=False),
    # https://learn.microsoft.com/azure/ai-foundry/how-to/use-foundry-models-black-forest-labs-flux
    Shape("azure_pictures", "providers/blackforestlabs/v1/{model}", "image_generation", "openai.images"),
    # https://learn.microsoft.com/azure/ai-services/speech-service/rest-speech-to-text-short and .../rest-text-to-speech
    Shape(
        "azure_speech",
        "speech/recognition/{id}/cognitiveservices/v1",
        "transcription",
        "azure_speech.recognition",
        upload=True,
    ),
    Shape(
        "azure_speech",
        "speechtotext/transcriptions:transcribe",
        "transcription",
        "azure_speech.recognition",
        upload=True,
    ),
    Shape("azure_speech", "cognitiveservices/v1", "speech", "azure_speech.synthesis", upload=True),
    # https://help.aliyun.com/zh/model-studio/qwen-api-via-dashscope
    *(
        Shape("dashscope", f"services/{path}", operation, "dashscope.native")
        for path, operation in (
            ("aigc/text-generation/generation", "completion"),
            ("aigc/multimodal-generation/generation", "completion"),
            ("embeddings/text-embedding/text-embedding", "embedding"),
            ("embeddings/multimodal-embedding/multimodal-embedding", "embedding"),
            ("rerank/text-rerank/text-rerank", "rerank"),
        )
    ),
    # https://platform.minimax.io/docs/api-reference
    Shape("minimax", "text/chatcompletion_v2", "completion", "minimax.chat"),
    Shape("minimax", "v1/t2a_v2", "speech", "minimax.speech"),
    Shape("minimax", "v1/t2a_async_v2", "speech", "minimax.speech"),
    Shape("minimax", "v1/image_generation", "image_generation", "minimax.images"),
)

_MEDIA = (
    # https://platform.stability.ai/docs/api-reference
    Shape("stability", "stable-image/generate/{model}", "image_generation", "stability.images", upload=True),
    Shape("stability", "generation/{model}/text-to-image", "image_generation", "stability.images"),
    *(
        Shape("stability", f"stable-image/{kind}/{{model}}", "image_edit", "stability.images", upload=True)
        for kind in ("edit", "upscale", "control")
    ),
    # https://docs.bfl.ai/api-reference
    Shape("black_forest_labs", "v1/{model}", "image_generation", "black_forest_labs.order"),
    # https://docs.fal.ai/model-endpoints
    Shape("fal_ai", "{model+}/requests/{id}", "image_generation", "fal_ai.run", "GET", follow_up=True),
    Shape("fal_ai", "{model+}", "image_generation", "fal_ai.run"),
    # https://docs.dev.runwayml.com/api
    Shape("runwayml", "v1/text_to_image", "image_generation", "runwayml.order"),
    *(
        Shape("runwayml", f"v1/{kind}_to_video", "video_generation", "runwayml.order")
        for kind in ("image", "text", "video")
    ),
    # https://www.assemblyai.com/docs/api-reference/transcripts
    Shape("assemblyai", "v2/transcript", "transcription", "assemblyai.transcript"),
    Shape(
        "assemblyai", "v2/transcript/{id}", "transcription", "assemblyai.transcript", "GET", follow_up=True
    ),
)

VENDOR_SHAPES = (*_PLATFORMS, *_MEDIA)
