"""Generate a client from our OpenAPI document and call every spend route with it, alone and under a mount.

Needs the generator beside the package: pip install openapi-python-client
"""

from __future__ import annotations

import importlib
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from spend_middleware import Spend

KEY = "sk-the-master-key-0001"
PACKAGE = "spend_middleware_client"
RANGE = {"start_date": "2026-01-01", "end_date": "2099-01-01"}

KEY_FIELDS: dict[str, Any] = {
    "models": ["gpt-4"],
    "max_budget": 10,
    "budget_duration": "30d",
    "metadata": {"tags": ["job"]},
    "permissions": {"get_spend_routes": True},
}

# Module of the generated package -> calls of it, each with its arguments.
CALLS: dict[str, list[dict[str, Any]]] = {
    "view_spend_tags_spend_tags_get": [{}, RANGE],
    "view_spend_logs_spend_logs_get": [{}, RANGE, {**RANGE, "summarize": False}],
    "ui_view_spend_logs_spend_logs_v2_get": [RANGE],
    "total_spend_spend_calculate_get": [{}],
    "get_global_spend_report_global_spend_report_get": [
        RANGE,
        {**RANGE, "group_by": "customer"},
        {**RANGE, "group_by": "api_key"},
        {**RANGE, "team_id": "t-prod", "customer_id": "acme"},
    ],
    "global_view_spend_tags_global_spend_tags_get": [RANGE],
    "get_user_daily_activity_user_daily_activity_get": [RANGE],
    "calculate_spend_spend_calculate_post": [
        {"body": ("SpendCalculateRequest", {"model": "gpt-4", "messages": []})}
    ],
    "global_spend_reset_global_spend_reset_post": [{}],
    "add_allowed_ip_add_allowed_ip_post": [{"body": ("IPAddress", {"ip": "127.0.0.1"})}],
    "delete_allowed_ip_delete_allowed_ip_post": [{"body": ("IPAddress", {"ip": "127.0.0.1"})}],
    "generate_key_fn_key_generate_post": [
        {"body": ("GenerateKeyRequest", {})},
        {"body": ("GenerateKeyRequest", KEY_FIELDS)},
    ],
    "new_team_team_new_post": [
        {"body": ("NewTeamRequest", {"team_alias": "prod", "metadata": {"tags": ["a"]}})}
    ],
}


class Choice(str):
    """A text where the generated client wants one of its enums."""

    @property
    def value(self) -> str:
        """The text itself."""
        return str(self)


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application on loopback and give its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def generate(document: dict[str, Any], folder: Path) -> None:
    """Write the client's package into a folder."""
    (folder / "openapi.json").write_text(json.dumps(document))
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    command += ["--path", str(folder / "openapi.json"), "--output-path", str(folder / PACKAGE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not (folder / PACKAGE).is_dir():
        sys.exit(f"No client was generated: pip install openapi-python-client\n{done.stdout}{done.stderr}")


def check_complete(document: dict[str, Any], folder: Path) -> None:
    """Stop where the generator left a route out: it does so for every schema that it cannot read."""
    declared = {
        operation["operationId"] for path in document["paths"].values() for operation in path.values()
    }
    generated = {file.stem for file in (folder / PACKAGE / "api").glob("*/*_*.py")} - {"__init__"}
    if len(generated) != len(declared):
        sys.exit(f"{len(declared)} routes are declared and {len(generated)} were generated")


def function_of(module: str, folder: Path) -> Any:
    """Return the generated function of a route, whatever family it stands in."""
    (found,) = (folder / PACKAGE / "api").glob(f"*/{module}.py")
    return importlib.import_module(f"{PACKAGE}.api.{found.parent.name}.{module}").sync_detailed


def arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Return arguments as the generated functions take them."""
    models = importlib.import_module(f"{PACKAGE}.models")
    out = dict(given)
    if "group_by" in out:
        out["group_by"] = Choice(out["group_by"])
    if "body" in out:
        name, fields = out["body"]
        out["body"] = getattr(models, name).from_dict(fields)
    return out


def main() -> None:
    """Generate, call, and say what came back."""
    with tempfile.TemporaryDirectory() as name, Spend("sqlite://", master_key=KEY) as spend:
        spend.record(
            provider="openai", model="gpt-4", cost="0.01", tags=["job"], end_user="acme", team_id="t-prod"
        )
        document = spend.app.app.openapi()
        generate(document, Path(name))
        check_complete(document, Path(name))
        sys.path.insert(0, name)
        client_class = importlib.import_module(PACKAGE).AuthenticatedClient
        with served(Starlette(routes=[Mount("/spend", spend.app), Mount("/", spend.app)])) as host:
            for base in (host, f"{host}/spend"):
                client = client_class(base_url=base, token=KEY, raise_on_unexpected_status=True)
                for module, calls in CALLS.items():
                    route = function_of(module, Path(name))
                    for given in calls:
                        answer = route(client=client, **arguments(given))
                        if answer.status_code != 200 or answer.parsed is None:
                            sys.exit(f"{module} {given}: {answer.status_code} {answer.content!r}")
                print(f"{sum(map(len, CALLS.values()))} calls of a generated client under {base}: all parsed")


if __name__ == "__main__":
    main()
