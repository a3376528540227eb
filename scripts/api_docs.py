"""Write docs/api.md from the route table; with --check, say whether it is current."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi.dependencies.models import Dependant
from pydantic import BaseModel

from spend_middleware import Spend
from spend_middleware.api.app import guarded_routes
from spend_middleware.api.routing import GuardedRoute, Permission

PAGE = Path(__file__).parent.parent / "docs" / "api.md"

WHO = {
    Permission.PUBLIC: "everybody, without a key",
    Permission.DOCS: "everybody, once a master key is set",
    Permission.MASTER: "the master key alone",
    Permission.ADMIN: "the master key and users with the role `proxy_admin`",
    Permission.READ_ALL: "the same, and `proxy_admin_viewer`",
    Permission.GLOBAL_SPEND: "the same, and keys with the permission `get_spend_routes: true` or with the route in their `allowed_routes`",
    Permission.SPEND: "as `global_spend`, and `internal_user` and `internal_user_viewer`, who see their own calls",
    Permission.ANALYTICS: "as `read_all`; `internal_user` and `internal_user_viewer` see their own",
    Permission.OWN_KEYS: "as `admin`; `internal_user` for keys of its own",
    Permission.ANY_KEY: "every valid key, which sees what is its own",
}

HEAD = """# The routes

Mount them with `app.mount("/spend", spend.app)`; every path below then stands behind `/spend`, and what begins with
`/spend` answers without saying it twice: `http://host/spend/tags` and `http://host/spend/spend/tags` are the same.
The names, parameters and shapes are LiteLLM's; [what differs](litellm-compatibility.md) is a short list.

## How to call them

```console
$ curl -s http://127.0.0.1:8000/spend/tags -H "Authorization: Bearer $SPEND_MASTER_KEY"
[{"individual_request_tag":"jobID:214590","log_count":2,"total_spend":0.000165}]
```

A key goes in any one header of `Authorization: Bearer`, `x-litellm-api-key`, `x-api-key`, `api-key`, `x-goog-api-key`
and `Ocp-Apim-Subscription-Key`. Without a master key in the settings everything but the health probes answers 401.

Dates are days (`2026-05-01`, both ends whole) or ISO 8601 times, which the routes of single calls (`/spend/logs` without a
summary, `/spend/logs/v2`) take to the second; sums are made of whole days, and there a time stands for its day. `timezone`
is an IANA name, or minutes west of UTC as JavaScript counts them. A bad value is a 400 that names it. Amounts are USD.

Totals say how far they can be relied on, in headers, so that the bodies keep LiteLLM's shape: `x-spend-unpriced-calls`
and `x-spend-estimated-calls` count the calls without a price and with tokens counted by us; `x-spend-total` is the exact
sum over the calls of the answer, each counted once.

It does not work? `GET /health/readiness` says whether the database answers within 3 seconds, `GET /health` (with the master key) what
waits and what went wrong, and each refusal says in its `message` what to change.

## What other answers carry

The middleware puts these on your service's own answers (sums over the calls made for that request), and the metering on
the answer that an SDK gets (that call's). None of them is an answer of the routes below.

| header | what it says |
|---|---|
| `x-litellm-call-id` | find the calls under it: `/spend/logs?request_id=...` |
| `x-litellm-response-cost` | USD, a plain decimal; `0.0` for nothing. Absent where no price is known, and on a stream, whose head goes out before its cost is known |
| `x-litellm-response-cost-input`, `-output`, `-cache-read`, `-cache-creation`, `-reasoning` | its parts |
| `x-litellm-response-cost-original` | an SDK's answer only: by the price list, where your own prices, discounts or margins made another cost of it |
| `x-litellm-response-duration-ms` | the time that the calls took |
| `x-litellm-key-spend` | what the virtual key that the request presented (or `spend.tag(api_key=...)` named) has spent by now, this call included; on a stream, what it had spent before |
| `x-spend-unpriced-calls` | how many calls the cost leaves out, where there are any |

`x-litellm-key-spend` asks nobody: it is the number of `/key/info` from when this process looked the key up, and what
this process has recorded since. What **other workers** have recorded for the key in the meantime is not in it; it is once
the key is looked up anew, which is within a second of any change of a key, team, user or budget, of a reset, of an
adjustment, and at the end of the key's budget window. For a decision, ask `/key/info`.

## All of them

The OpenAPI document is at `openapi.json`, and as a page at `docs`. Who may call a route is one word:

| word | who |
|---|---|
"""


def page() -> str:
    """Return the page as it should be."""
    with Spend("sqlite://") as spend:
        routes = list(guarded_routes(spend.app))
    families: dict[str, list[GuardedRoute]] = {}
    for route in routes:
        families.setdefault(str(route.tags[0]), []).append(route)
    parts = [HEAD + "\n".join(f"| {permission} | {who} |" for permission, who in WHO.items())]
    for name in sorted(families, key=str.lower):
        parts += [
            f"\n### {name[:1].upper()}{name[1:]}\n",
            "| route | what it does | parameters | who |",
            "|---|---|---|---|",
        ]
        parts += sorted(_line(route) for route in families[name])
    return "\n".join(parts) + "\n"


def _line(route: GuardedRoute) -> str:
    method = "/".join(sorted(route.methods or ()))
    names = ", ".join(f"`{name}`" for name in _parameters(route.dependant))
    return f"| `{method} {route.path}` | {_first_sentence(route.endpoint)} | {names} | {route.permission} |"


def _parameters(dependant: Dependant) -> Iterator[str]:
    for parameter in dependant.query_params:
        kind = parameter.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from (field.alias or name for name, field in kind.model_fields.items())
        else:
            yield parameter.alias
    for further in dependant.dependencies:
        yield from _parameters(further)


def _first_sentence(endpoint: Any) -> str:
    text = " ".join((endpoint.__doc__ or "").split("\n\n")[0].split())
    return text.replace("|", "\\|")


def main() -> int:
    """Write the page, or compare it."""
    text = page()
    if "--check" not in sys.argv:
        PAGE.write_text(text)
        return 0
    current = PAGE.exists() and PAGE.read_text() == text
    print("docs/api.md is current." if current else "docs/api.md is not current: run scripts/api_docs.py.")
    return 0 if current else 1


if __name__ == "__main__":
    sys.exit(main())
