"""The rows of the routing table: which requests are metered, as whom, and which pass."""

from __future__ import annotations

import pytest

from spend_middleware.wire import READERS, recognise
from spend_middleware.wire.compatible import COMPATIBLE
from spend_middleware.wire.hosts import HOSTS
from spend_middleware.wire.shapes import SHAPES
from spend_middleware.wire.table import rules_of
from spend_middleware.wire.vendor_shapes import VENDOR_SHAPES

# host, path, provider, operation, wire format; all POST.
METERED = [
    ("api.openai.com", "/v1/chat/completions", "openai", "completion", "openai.chat"),
    ("eu.api.openai.com", "/v1/responses", "openai", "responses", "openai.responses"),
    ("api.openai.com", "/v1/responses/compact", "openai", "responses", "openai.responses"),
    ("api.openai.com", "/v1/engines/davinci/completions", "openai", "text_completion", "openai.completions"),
    ("api.openai.com", "/v1/images/edits", "openai", "image_edit", "openai.images"),
    ("api.openai.com", "/v1/audio/speech", "openai", "speech", "openai.speech"),
    ("api.openai.com", "/v1/threads/t1/runs", "openai", "assistants", "openai.runs"),
    ("x.openai.azure.com", "/openai/deployments/d1/chat/completions", "azure", "completion", "openai.chat"),
    ("x.openai.azure.com", "//openai/deployments/d1/embeddings", "azure", "embedding", "openai.embeddings"),
    ("x.openai.azure.com", "/openai/responses", "azure", "responses", "openai.responses"),
    ("x.services.ai.azure.com", "/models/chat/completions", "azure_ai", "completion", "openai.chat"),
    ("api.anthropic.com", "/v1/messages", "anthropic", "completion", "anthropic.messages"),
    ("api.anthropic.com", "/v1/complete", "anthropic", "text_completion", "anthropic.complete"),
    (
        "generativelanguage.googleapis.com",
        "/v1beta/models/gemini-x:streamGenerateContent",
        *("gemini", "completion", "gemini.generateContent"),
    ),
    (
        "generativelanguage.googleapis.com",
        "/v1beta/openai/chat/completions",
        "gemini",
        "completion",
        "gemini.chat",
    ),
    (
        "generativelanguage.googleapis.com",
        "/v1beta/interactions",
        "gemini",
        "completion",
        "gemini.interactions",
    ),
    (
        "us-east5-aiplatform.googleapis.com",
        "/v1/projects/p/locations/us-east5/publishers/anthropic/models/claude-x:streamRawPredict",
        *("vertex_ai", "completion", "anthropic.messages"),
    ),
    (
        "aiplatform.googleapis.com",
        "/v1/projects/p/locations/global/publishers/mistralai/models/mistral-x:rawPredict",
        *("vertex_ai", "completion", "openai.chat"),
    ),
    (
        "aiplatform.googleapis.com",
        "/v1beta1/publishers/google/models/e:predict",
        *("vertex_ai", "embedding", "vertex.predict"),
    ),
    (
        "bedrock-runtime.us-east-1.amazonaws.com",
        "/model/a%3A0/converse",
        *("bedrock", "completion", "bedrock.converse"),
    ),
    (
        "bedrock-mantle.us-west-2.api.aws",
        "/openai/v1/responses",
        *("bedrock_mantle", "responses", "openai.responses"),
    ),
    ("api.openai.com", "/v1/decisions", "openai", "decision", "openai.completions"),
    ("api.openai.com", "/v1/containers", "openai", "container", "openai.containers"),
    ("api.openai.com", "/v1/videos/extensions", "openai", "video_generation", "openai.videos"),
    (
        "x.services.ai.azure.com",
        "/providers/blackforestlabs/v1/flux.2-pro",
        *("azure_ai", "image_generation", "openai.images"),
    ),
    (
        "generativelanguage.googleapis.com",
        "/v1beta/tunedModels/mine:generateContent",
        *("gemini", "completion", "gemini.generateContent"),
    ),
    (
        "us-east5-aiplatform.googleapis.com",
        "/v1/projects/p/locations/us-east5/publishers/mistralai/models/mistral-ocr-2505:rawPredict",
        *("vertex_ai", "ocr", "mistral.ocr"),
    ),
    (
        "dashscope.aliyuncs.com",
        "/compatible-mode/v1/embeddings",
        "dashscope",
        "embedding",
        "openai.embeddings",
    ),
    (
        "dashscope-intl.aliyuncs.com",
        "/api/v1/services/aigc/text-generation/generation",
        *("dashscope", "completion", "dashscope.native"),
    ),
    ("api.minimax.io", "/v1/text/chatcompletion_v2", "minimax", "completion", "minimax.chat"),
    ("api.minimax.io", "/v1/t2a_v2", "minimax", "speech", "minimax.speech"),
    (
        "eastus.stt.speech.microsoft.com",
        "/speech/recognition/conversation/cognitiveservices/v1",
        *("azure", "transcription", "azure_speech.recognition"),
    ),
    ("eastus.tts.speech.microsoft.com", "/cognitiveservices/v1", "azure", "speech", "azure_speech.synthesis"),
    ("api.perplexity.ai", "/async/chat/completions", "perplexity", "completion", "perplexity.async"),
    ("api.perplexity.ai", "/v1/agent", "perplexity", "responses", "openai.responses"),
    ("localhost:1234", "/api/v1/chat", "custom_openai", "completion", "lm_studio.chat"),
    ("localhost:8000", "/rerank", "custom_openai", "rerank", "cohere.rerank"),
    (
        "gateway.ai.cloudflare.com",
        "/v1/a/g/workers-ai/@cf/meta/llama-3.1-8b-instruct",
        *("cloudflare_gateway", "completion", "cloudflare.run"),
    ),
    (
        "gateway.ai.cloudflare.com",
        "/v1/a/g/workers-ai/v1/chat/completions",
        *("cloudflare_gateway", "completion", "openai.chat"),
    ),
    ("api.mistral.ai", "/v1/fim/completions", "mistral", "text_completion", "openai.chat"),
    ("api.mistral.ai", "/v1/ocr", "mistral", "ocr", "mistral.ocr"),
    ("api.groq.com", "/openai/v1/chat/completions", "groq", "completion", "groq.chat"),
    ("api.cohere.com", "/v2/chat", "cohere", "completion", "cohere.chat"),
    ("us-east-1.api.x.ai", "/v1/chat/completions", "xai", "completion", "xai.chat"),
    ("openrouter.ai", "/api/v1/images", "openrouter", "image_generation", "openai.images"),
    ("api.deepseek.com", "/beta/completions", "deepseek", "text_completion", "openai.completions"),
    ("router.huggingface.co", "/together/v1/chat/completions", "huggingface", "completion", "openai.chat"),
    ("api.perplexity.ai", "/chat/completions", "perplexity", "completion", "perplexity.chat"),
    ("ollama.com", "/api/generate", "ollama", "text_completion", "ollama.native"),
    ("localhost:11434", "/v1/chat/completions", "ollama", "completion", "openai.chat"),
    ("llm.example.com", "/v1-openai/chat/completions", "custom_openai", "completion", "openai.chat"),
    ("llm.example.com", "/v1/messages", "custom_anthropic", "completion", "anthropic.messages"),
    (
        "llm.example.com",
        "/v1/models/gemini-x:generateContent",
        *("custom_gemini", "completion", "gemini.generateContent"),
    ),
]

PASSED = [
    ("GET", "api.openai.com", "/v1/models"),
    ("POST", "api.openai.com", "/v1/files"),
    ("POST", "api.openai.com", "/v1/vector_stores"),
    ("POST", "api.openai.com", "/v1/vector_stores/v1/files"),
    ("POST", "api.openai.com", "/v1/responses/input_tokens"),
    ("POST", "api.openai.com", "/v1/responses/r1/cancel"),
    ("POST", "api.openai.com", "/v1/traces/ingest"),
    ("POST", "api.openai.com", "/v1/threads/t1/messages"),
    ("DELETE", "api.openai.com", "/v1/responses/r1"),
    ("HEAD", "api.openai.com", "/"),
    ("POST", "api.anthropic.com", "/v1/messages/count_tokens"),
    (
        "POST",
        "us-east5-aiplatform.googleapis.com",
        "/v1/projects/p/locations/us-east5/publishers/anthropic/models/count-tokens:rawPredict",
    ),
    ("POST", "api.anthropic.com", "/v1/files"),
    ("POST", "generativelanguage.googleapis.com", "/v1beta/models/m:countTokens"),
    ("POST", "generativelanguage.googleapis.com", "/v1beta/cachedContents"),
    ("POST", "generativelanguage.googleapis.com", "/upload/v1beta/files"),
    ("POST", "oauth2.googleapis.com", "/token"),
    ("POST", "bedrock-runtime.us-east-1.amazonaws.com", "/model/m/count-tokens"),
    ("GET", "bedrock.us-east-1.amazonaws.com", "/inference-profiles/p"),
    ("POST", "api.cohere.com", "/v1/tokenize"),
    ("POST", "api.mistral.ai", "/v1/agents"),
    ("POST", "localhost:11434", "/api/show"),
    ("GET", "llm.example.com", "/v1/chat/completions"),
    ("GET", "api.openai.com", "/v1/files/f1/content"),
    ("POST", "api.example.com", "/v2/datasets"),
    ("POST", "app.example.com", "/conversations/42"),
    ("POST", "httpbin.org", "/anything/v1/chat/completions"),
]

FOLLOW_UPS = [
    ("api.openai.com", "/v1/responses/resp_1", "openai.responses"),
    ("api.openai.com", "/v1/batches/batch_1", "openai.batches"),
    ("api.openai.com", "/v1/threads/t1/runs/r1", "openai.runs"),
    ("api.openai.com", "/v1/videos/v1", "openai.videos"),
    ("api.anthropic.com", "/v1/messages/batches/b1/results", "anthropic.batches"),
    ("generativelanguage.googleapis.com", "/v1beta/batches/b1", "gemini.batches"),
    ("generativelanguage.googleapis.com", "/download/v1beta/files/b1:download", "gemini.batch_lines"),
    ("api.mistral.ai", "/v1/files/f1/content", "openai.batch_lines"),
    ("api.groq.com", "/openai/v1/files/f1/content", "openai.batch_lines"),
    ("api.x.ai", "/v1/chat/deferred-completion/r1", "xai.chat"),
    ("api.perplexity.ai", "/async/chat/completions/c1", "perplexity.async"),
]


@pytest.mark.parametrize(("host", "path", "provider", "operation", "wire_format"), METERED)
def test_a_billed_path_has_its_provider_operation_and_reader(
    host: str, path: str, provider: str, operation: str, wire_format: str
) -> None:
    route = recognise("POST", host, path)
    assert route is not None
    assert (route.provider, route.operation, route.wire_format) == (provider, operation, wire_format)


@pytest.mark.parametrize(("method", "host", "path"), PASSED)
def test_traffic_that_bills_nothing_is_not_metered(method: str, host: str, path: str) -> None:
    assert recognise(method, host, path) is None


@pytest.mark.parametrize(("host", "path", "wire_format"), FOLLOW_UPS)
def test_reading_a_result_again_is_a_follow_up(host: str, path: str, wire_format: str) -> None:
    route = recognise("GET", host, path)
    assert route is not None
    assert route.follow_up
    assert route.wire_format == wire_format


@pytest.mark.parametrize(
    ("provider", "host"),
    [(provider, hosts[0]) for provider, hosts in COMPATIBLE.items() if "*" not in hosts[0]],
)
def test_an_openai_compatible_provider_is_one_row(provider: str, host: str) -> None:
    route = recognise("POST", host, "/v1/chat/completions")
    assert route is not None
    assert (route.provider, route.wire_format) == (provider, "openai.chat")


def test_every_row_names_a_reader_that_exists() -> None:
    named = {shape.wire_format for shape in (*SHAPES, *VENDOR_SHAPES)} - {"vertex.rawPredict"}
    named |= {name for host in HOSTS for name in host.formats.values()}
    assert sorted(named - set(READERS)) == []


@pytest.mark.parametrize(
    ("host", "path", "model", "region"),
    [
        ("x.openai.azure.com", "/openai/deployments/my%20gpt/chat/completions", "my gpt", None),
        ("bedrock-runtime.eu-west-1.amazonaws.com", "/model/a.b-v1%3A0/invoke", "a.b-v1:0", "eu-west-1"),
        (
            "bedrock-runtime.us-east-1.amazonaws.com",
            "/model/arn:aws:bedrock:us-east-1:1:application-inference-profile/x/converse",
            "arn:aws:bedrock:us-east-1:1:application-inference-profile/x",
            "us-east-1",
        ),
        (
            "aiplatform.googleapis.com",
            "/v1/projects/p/locations/europe-west4/publishers/google/models/gemini-x:generateContent",
            "gemini-x",
            "europe-west4",
        ),
        ("eu.api.openai.com", "/v1/responses", None, "eu"),
        ("api.openai.com", "/v1/responses", None, None),
    ],
)
def test_model_and_region_are_read_from_host_and_path(
    host: str, path: str, model: str | None, region: str | None
) -> None:
    route = recognise("POST", host, path)
    assert route is not None
    assert (route.model, route.region) == (model, region)


RULES = rules_of(
    {
        "llm.example.com": "litellm_proxy",
        "llm.example.com/azure": "azure",
        "127.0.0.1:9001": "openai",
        "https://gemini.example.com": "gemini",
    }
)


@pytest.mark.parametrize(
    ("host", "path", "provider"),
    [
        ("llm.example.com", "/v1/chat/completions", "litellm_proxy"),
        ("llm.example.com", "/azure/v1/chat/completions", "azure"),
        ("llm.example.com", "/azures/v1/chat/completions", "litellm_proxy"),
        ("127.0.0.1:9001", "/v1/embeddings", "openai"),
        ("127.0.0.1:9002", "/v1/embeddings", "custom_openai"),
        ("gemini.example.com", "/v1beta/models/m:generateContent", "gemini"),
    ],
)
def test_a_rule_of_the_user_comes_first_and_the_longer_one_wins(host: str, path: str, provider: str) -> None:
    route = recognise("POST", host, path, RULES)
    assert route is not None
    assert route.provider == provider


@pytest.mark.parametrize("path", ["/v1/ocr", "/v1/decisions", "/v1/containers", "/v1/score"])
def test_what_one_vendor_alone_has_is_not_seen_elsewhere_unless_a_rule_says_whose_it_is(path: str) -> None:
    assert recognise("POST", "app.example.com", path) is None
    proxy = recognise("POST", "app.example.com", path, rules_of({"app.example.com": "litellm_proxy"}))
    assert (proxy is not None) is (path == "/v1/ocr")


def test_a_litellm_proxy_gets_everything_and_prices_by_model() -> None:
    route = recognise("POST", "llm.example.com", "/chat/completions", RULES)
    assert route is not None
    assert route.accepts == {"litellm"}
    assert route.gateway


@pytest.mark.parametrize(
    ("host", "path", "behind"),
    [
        ("gateway.pydantic.dev", "/proxy/openai/responses", "openai"),
        ("gateway.pydantic.dev", "/proxy/bedrock/model/m/converse", "bedrock"),
        ("gateway.ai.cloudflare.com", "/v1/account/gateway/anthropic/v1/messages", "anthropic"),
        ("localhost:8787", "/anthropic/v1/messages", "anthropic"),
        ("router.huggingface.co", "/together/v1/chat/completions", "together_ai"),
        ("api.portkey.ai", "/v1/chat/completions", None),
    ],
)
def test_a_gateway_says_in_its_path_who_stands_behind(host: str, path: str, behind: str | None) -> None:
    route = recognise("POST", host, path)
    assert route is not None
    assert route.price_provider == behind


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost:8000", True),
        ("127.0.0.1", True),
        ("0.0.0.0:4000", True),
        ("10.1.2.3:80", True),
        ("box.local:8080", True),
        ("[::1]:8000", True),
        ("::1", True),
        ("fd00::1:8000", True),
        ("2001:4860:4860::8888", False),
        ("llm.example.com", False),
        ("8.8.8.8", False),
    ],
)
def test_a_host_of_ones_own_is_known_as_such(host: str, local: bool) -> None:
    route = recognise("POST", host, "/v1/chat/completions")
    assert route is not None
    assert route.local is local


@pytest.mark.parametrize(("path", "local"), [("/groq/openai/v1", False), ("/openai/v1", True), ("/v1", True)])
def test_a_path_that_names_who_sells_the_model_leads_to_no_model_of_ones_own(path: str, local: bool) -> None:
    route = recognise("POST", "localhost:8000", f"{path}/chat/completions")
    assert route is not None
    assert route.local is local


@pytest.mark.parametrize(
    ("host", "path", "certain"),
    [
        ("app.example.com", "/v1/chat/completions", True),
        ("app.example.com", "/api/chat", False),
        ("app.example.com", "/survey/responses", False),
        ("graph.example.com", "/threads/t1/runs", False),
        ("whatsapp.example.com", "/v1/messages", False),
        ("localhost:8501", "/v1/models/half_plus_two:predict", False),
        ("localhost:8787", "/anthropic/v1/messages", True),
        ("localhost:11434", "/api/chat", True),
        ("api.openai.com", "/v1/chat/completions", True),
    ],
)
def test_a_path_that_others_have_too_is_not_certain(host: str, path: str, certain: bool) -> None:
    route = recognise("POST", host, path)
    assert route is not None
    assert route.certain is certain


@pytest.mark.parametrize("path", ["/" * 3000, "/v1/chat/completions/" * 200, "", "/%00", "/a:b:c", "\udcff"])
def test_no_path_is_too_strange(path: str) -> None:
    assert recognise("POST", "example.com", path) is None


@pytest.mark.parametrize("host", ["", ":", "[::1", "a" * 5000, "EXAMPLE.com.", "x:99999"])
def test_no_host_is_too_strange(host: str) -> None:
    assert recognise("POST", host, "/nothing") is None


def test_the_option_for_stream_usage_is_asked_for_only_where_it_is_documented() -> None:
    asked = {
        host: route.usage_on_request
        for host in ("api.openai.com", "api.mistral.ai", "llm.example.com")
        if (route := recognise("POST", host, "/v1/chat/completions"))
    }
    assert asked == {"api.openai.com": True, "api.mistral.ai": False, "llm.example.com": True}
