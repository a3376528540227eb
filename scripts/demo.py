"""Shows the whole of it in a minute: three providers' SDKs, one service, one database, and numbers that agree.

    make demo            runs and leaves
    make demo KEEP=1     goes on serving, and prints the address and the key

The providers are stand-ins on loopback: nothing leaves this machine and no key is needed. They answer as OpenAI,
Anthropic and Gemini do, and refuse what those refuse.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import anthropic  # noqa: E402
import httpx2  # noqa: E402
import openai  # noqa: E402
import uvicorn  # noqa: E402
from examples.fastapi_app.app import Upstreams, build_app  # noqa: E402
from google import genai  # noqa: E402
from google.genai import types  # noqa: E402

from spend_middleware import Spend  # noqa: E402
from standin import Standin  # noqa: E402

KEY = "sk-demo-0123456789abcdef"


class Service:
    """The example service under uvicorn, on a free port, in a thread."""

    def __init__(self, app: Any) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    @staticmethod
    def heed_signals() -> None:
        """End at an interrupt or when told to.

        A shell that starts a command in the background has it ignore interrupts, and Python leaves that so.
        """
        for told in (signal.SIGINT, signal.SIGTERM):
            signal.signal(told, signal.default_int_handler)

    def wait(self) -> None:
        """Serve until interrupted or told to end."""
        with contextlib.suppress(KeyboardInterrupt):
            self._thread.join()


def main() -> None:
    """Run the demonstration; leave with status 1 when the numbers do not agree."""
    parser = argparse.ArgumentParser(description="spend-middleware, shown")
    parser.add_argument("--keep", action="store_true", help="go on serving")
    keep = parser.parse_args().keep
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(
        line_buffering=True
    )  # whoever reads through a pipe sees the address while we serve
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        os.environ[name] = "stand-in"
    with (
        tempfile.TemporaryDirectory() as folder,
        Standin() as providers,
        Spend(f"sqlite:///{folder}/spend.db", master_key=KEY) as spend,
    ):
        app = build_app(
            spend,
            Upstreams(
                openai_base_url=providers.base("openai"),
                anthropic_base_url=providers.base("anthropic"),
                gemini_base_url=providers.base("gemini"),
            ),
        )
        with Service(app) as service:
            agreed = drive(spend, service.url, providers)
            if keep:
                service.heed_signals()
                print(
                    f"\nServing {service.url}/spend/tags\n  curl -H 'Authorization: Bearer {KEY}' {service.url}/spend/tags"
                )
                service.wait()
    sys.exit(0 if agreed else 1)


def drive(spend: Spend, url: str, providers: Standin) -> bool:
    """Send requests through the service and through a script's own client, and compare all sums."""
    seen = Decimal(0)
    with httpx2.Client(base_url=url) as client:
        for customer in ("palantir", "acme"):
            for path in ("/ask", "/review"):
                answer = client.post(path, json={"text": "What is a ledger?", "customer": customer})
                answer.raise_for_status()
                seen += Decimal(answer.headers["x-litellm-response-cost"])
                print(f"POST {path:8} x-litellm-response-cost: {answer.headers['x-litellm-response-cost']}")
        with client.stream("POST", "/stream", json={"text": "Tell me more.", "customer": "acme"}) as streamed:
            words = streamed.read()
            call_id = streamed.headers["x-litellm-call-id"]
        print(
            f"POST /stream  {len(words)} bytes streamed; its cost is known at its end: x-litellm-call-id {call_id}"
        )
        with spend.tag("demo:script", end_user="acme") as tally:
            script(providers)
        seen += tally.cost
        print(
            f"a script      whole and streamed: tally.cost {tally.cost:f} USD over {len(tally.calls)} calls"
        )

        spend.flush()
        ask = httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"})
        found = ask.get("/spend/logs", params={"request_id": call_id}).json()
        seen += sum((Decimal(str(row["spend"])) for row in found), Decimal(0))
        show(ask)
        total = Decimal(str(ask.get("/spend/calculate").json().get("cost", 0)))
        ask.close()
    print(f"\nheaders + tallies + streamed rows  {seen.normalize():f} USD")
    print(
        f"the database                       {total.normalize():f} USD   {'equal' if seen == total else 'NOT EQUAL'}"
    )
    return seen == total


def script(providers: Standin) -> None:
    """Call all three as a script does; OpenAI with tags and user in the request, as LiteLLM's clients send them."""
    with openai.OpenAI(base_url=providers.base("openai")) as client:
        tagged = {"metadata": {"tags": ["jobID:214590", "taskName:run_page_classification"]}}
        message: Any = [{"role": "user", "content": "Write a short poem."}]
        client.chat.completions.create(
            model="gpt-4o-mini", messages=message, user="palantir", extra_body=tagged
        )
        options: Any = {"include_usage": True}
        stream = client.chat.completions.create(
            model="gpt-4o", messages=message, stream=True, stream_options=options, extra_body=tagged
        )
        for _ in stream:
            pass
    with (
        anthropic.Anthropic(base_url=providers.base("anthropic")) as claude,
        claude.messages.stream(model="claude-sonnet-5-5", max_tokens=64, messages=message) as words,
    ):
        words.get_final_text()
    with genai.Client(http_options=types.HttpOptions(base_url=providers.base("gemini"))) as gemini:
        for _ in gemini.models.generate_content_stream(model="gemini-2.5-flash", contents="A poem."):
            pass


def show(ask: httpx2.Client) -> None:
    """Print the spend by tag, and two rows."""
    print(f"\nGET /spend/tags\n  {'individual_request_tag':40} {'log_count':>9}  total_spend")
    for row in ask.get("/spend/tags").json():
        print(f"  {row['individual_request_tag']:40} {row['log_count']:>9}  {row['total_spend']:.8f}")
    print("\nGET /spend/logs (two rows)")
    for row in ask.get("/spend/logs").json()[:2]:
        shown = (
            "request_id",
            "model",
            "end_user",
            "request_tags",
            "prompt_tokens",
            "completion_tokens",
            "spend",
        )
        print("  " + "  ".join(f"{name}={row[name]}" for name in shown))


if __name__ == "__main__":
    main()
