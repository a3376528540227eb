"""The stand-in's server: starlette under uvicorn in a thread, on a free loopback port, keeping what it received."""

from __future__ import annotations

import json
import socket
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from standin import answers
from standin.refusals import REFUSALS


@dataclass
class Received:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes
    connection: int

    @property
    def body(self) -> Any:
        """The JSON of the body."""
        return json.loads(self.raw)


@dataclass
class Standin:
    """A server that answers like OpenAI, Azure, Anthropic, Gemini, Mistral, Groq, Cohere and a LiteLLM proxy.

    Use it as a context manager. `base(provider)` is what an SDK takes as its base URL.

    Args:
        encoding: The content encoding of answers: "", "gzip" or "deflate"; only if the request accepts it.
        words: How many words a stream has; each is an event.
        text: The text of whole answers.
        faults: Statuses to answer the next requests with, in place of an answer.
        cut_after: A stream breaks off after so many events.
    """

    encoding: str = ""
    words: int = len(answers.WORDS)
    text: str = "".join(answers.WORDS)
    faults: list[int] = field(default_factory=list)
    cut_after: int | None = None
    received: list[Received] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            self.app(),
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        run = self._server.run
        self._thread = threading.Thread(target=run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    def base(self, provider: str) -> str:
        """Return the base URL for a provider's SDK."""
        ends = {"openai": "/v1", "litellm": "/v1", "local": "/v1"}
        return f"{self.url}/{provider}{ends.get(provider, '')}"

    # -- the routes

    def app(self) -> Starlette:
        """Return the ASGI app, for those who serve it themselves."""
        whole: dict[str, Callable[..., Any]] = {
            "chat/completions": self._spoken(answers.chat, answers.chat_stream),
            "completions": self._spoken(answers.completion, answers.completion_stream),
            "responses": self._spoken(answers.response, answers.response_stream),
            "embeddings": self._spoken(lambda body, text: answers.embedding(body), answers.chat_stream),
            "models": self._models,
        }
        routes = []
        for name, answer in whole.items():
            for provider, prefix in (
                ("openai", "/v1"),
                ("openai", "/openai/v1"),
                ("azure", "/azure/openai/deployments/{deployment}"),
                ("azure", "/azure/openai/v1"),
                ("mistral", "/mistral/v1"),
                ("groq", "/groq/openai/v1"),
                ("litellm", "/litellm/v1"),
                ("litellm", "/litellm"),
                ("local", "/local/v1"),
            ):
                routes.append(self._route(f"{prefix}/{name}", provider, answer))
        messages = self._spoken(answers.message, answers.message_stream)
        cohere = self._spoken(answers.cohere_chat, answers.cohere_stream)
        routes += [
            self._route("/v1/messages", "anthropic", messages),
            self._route("/anthropic/v1/messages", "anthropic", messages),
            self._route("/v1/models/{verb:path}", "gemini", self._gemini),
            self._route("/v1beta/models/{verb:path}", "gemini", self._gemini),
            self._route("/gemini/{version}/models/{verb:path}", "gemini", self._gemini),
            self._route("/cohere/v2/chat", "cohere", cohere),
        ]
        routes.append(Route("/elsewhere/v1/chat/completions", self._redirect, methods=["POST"]))
        routes.append(Route("/plain", self._plain, methods=["GET", "POST"]))
        return Starlette(routes=routes)

    def _route(self, path: str, provider: str, answer: Callable[..., Any]) -> Route:
        async def endpoint(request: Request) -> Response:
            raw = await self._keep(request)
            if self.faults:
                status = self.faults.pop(0)
                return self._json(request, {"error": {"message": "stand-in fault", "type": "fault"}}, status)
            body = json.loads(raw) if raw else {}
            refusal = REFUSALS[provider](body)
            if refusal is not None:
                return self._json(request, refusal[1], refusal[0])
            answered: Response = answer(request, body)
            if provider == "litellm":
                answered.headers["x-litellm-call-id"] = "proxy-call"
                answered.headers["x-litellm-version"] = "1.106.2"
                if not body.get("stream"):
                    answered.headers["x-litellm-response-cost"] = "0.000123"
            return answered

        return Route(path, endpoint, methods=["GET", "POST"])

    async def _keep(self, request: Request) -> bytes:
        raw = await request.body()
        client = request.client.port if request.client else 0
        headers = {name.lower(): value for name, value in request.headers.items()}
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        self.received.append(Received(request.method, path, headers, raw, client))
        return raw

    def _spoken(
        self, whole: Callable[..., Any], stream: Callable[..., Iterator[bytes]]
    ) -> Callable[[Request, Any], Response]:
        def answer(request: Request, body: Any) -> Response:
            if body.get("stream"):
                return self._stream(request, stream(body, self._words()), "text/event-stream")
            return self._json(request, whole(body, self.text))

        return answer

    def _gemini(self, request: Request, body: Any) -> Response:
        model, _, verb = request.path_params["verb"].partition(":")
        if verb == "streamGenerateContent":
            as_sse = request.query_params.get("alt") == "sse"
            events = answers.generated_stream(body, self._words(), model, as_sse)
            return self._stream(request, events, "text/event-stream" if as_sse else "application/json")
        if verb == "generateContent":
            return self._json(request, answers.generated(body, self.text, model=model))
        if verb == "batchEmbedContents":
            vectors = [{"values": [0.25, -0.5, 1.0]} for _ in body.get("requests", ())]
            return self._json(request, {"embeddings": vectors})
        return self._json(request, {"error": {"code": 404, "message": verb, "status": "NOT_FOUND"}}, 404)

    def _models(self, request: Request, body: Any) -> Response:
        model = {"id": "gpt-4o", "object": "model", "created": 1700000000, "owned_by": "standin"}
        return self._json(request, {"object": "list", "data": [model]})

    async def _redirect(self, request: Request) -> Response:
        await self._keep(request)
        return Response(status_code=307, headers={"location": f"{self.url}/v1/chat/completions"})

    async def _plain(self, request: Request) -> Response:
        await self._keep(request)
        return Response(b"plain", media_type="text/plain")

    # -- bodies

    def _words(self) -> Iterator[str]:
        return (answers.WORDS[number % len(answers.WORDS)] for number in range(self.words))

    def _encoder(self, request: Request) -> Any:
        if not self.encoding or self.encoding not in request.headers.get("accept-encoding", ""):
            return None
        return zlib.compressobj(wbits=31 if self.encoding == "gzip" else 15)

    def _json(self, request: Request, content: Any, status: int = 200) -> Response:
        raw = json.dumps(content).encode()
        # Two cookies, as CDNs in front of providers set them.
        answer = Response(raw, status, media_type="application/json")
        encoder = self._encoder(request)
        if encoder is not None:
            raw = encoder.compress(raw) + encoder.flush()
            answer = Response(raw, status, {"content-encoding": self.encoding}, "application/json")
        answer.headers.append("set-cookie", "first=1; Path=/")
        answer.headers.append("set-cookie", "second=2; Path=/")
        return answer

    def _stream(self, request: Request, events: Iterator[bytes], kind: str) -> Response:
        encoder = self._encoder(request)

        async def body() -> AsyncIterator[bytes]:
            for number, event in enumerate(events):
                if self.cut_after is not None and number >= self.cut_after:
                    raise ConnectionAbortedError("stand-in cut")
                yield event if encoder is None else encoder.compress(event) + encoder.flush(zlib.Z_SYNC_FLUSH)
            if encoder is not None:
                yield encoder.flush()

        headers = {"content-encoding": self.encoding} if encoder is not None else {}
        return StreamingResponse(body(), 200, headers, kind)


def main() -> None:
    """Serve until interrupted, for trying things by hand."""
    uvicorn.run(Standin().app(), host="127.0.0.1", port=8400, log_level="warning")


if __name__ == "__main__":
    main()
