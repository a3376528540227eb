"""Which provider a request goes to and how its answer is read, from method, host and path alone."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from urllib.parse import unquote

from spend_middleware.wire.compatible import COMPATIBLE, ECHO_HOSTS, GATEWAYS, UPSTREAMS
from spend_middleware.wire.hosts import HOSTS, USER_AND_METADATA, Host
from spend_middleware.wire.paths import shape_of
from spend_middleware.wire.reading import Route
from spend_middleware.wire.shapes import Shape

Rules = tuple[tuple[str, str], ...]
"""The user's own rows: (host, or host and path prefix, provider)."""

_LONGEST_PATH = 2048
_LITELLM = frozenset({"litellm"})

# Any host may serve any of these; the provider is then "custom_<family>" but for families with one owner.
_ANY_HOST = Host(
    "custom_openai",
    (),
    families=("ollama", "openai", "lm_studio", "anthropic", "google", "bedrock", "cohere", "huggingface"),
    accepts=USER_AND_METADATA,
    usage_on_request=True,
)
_FAMILY_PROVIDERS = {
    "openai": "custom_openai",
    "anthropic": "custom_anthropic",
    "google": "custom_gemini",
    "bedrock": "bedrock",
    "ollama": "ollama",
    "cohere": "custom_cohere",
    "mistral": "mistral",
    "huggingface": "huggingface",
    "lm_studio": "custom_openai",
    "cloudflare": "cloudflare",
}
_FAMILY_OF_UPSTREAM = {
    "anthropic": "anthropic",
    "gemini": "google",
    "vertex_ai": "google",
    "bedrock": "bedrock",
}
_FAMILY_ACCEPTS = {
    "anthropic": frozenset({"metadata.user_id"}),
    "google": frozenset[str](),
    "bedrock": frozenset[str](),
    "cohere": frozenset[str](),
}

# Vertex serves partner models in their publishers' own formats.
# https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/use-partner-models
_PUBLISHER_FORMATS = {"anthropic": "anthropic.messages"}
_OPENAI_PUBLISHER_FORMAT = "openai.chat"
_BEHIND_AZURE = re.compile(r"/deployments/([^/]+)/")
_ENGINE = re.compile(r"/engines/([^/]+)/")
_LOCATION = re.compile(r"/locations/([^/]+)/")
_PUBLISHER = re.compile(r"/publishers/([^/]+)/")


def _host_pattern(name: str) -> re.Pattern[str]:
    text = re.escape(name).replace(r"\*", r"[^/]*").replace(r"\{region\}", r"(?P<region>[a-z0-9-]+)")
    return re.compile(text)


def _any_of(patterns: Iterable[re.Pattern[str]]) -> re.Pattern[str]:
    return re.compile("|".join(pattern.pattern.replace("(?P<region>", "(?:") for pattern in patterns))


def _rows() -> Iterator[tuple[str, Host]]:
    for host in HOSTS:
        for name in host.names:
            yield name, host
    for provider, names in COMPATIBLE.items():
        row = Host(provider, names, families=("openai", "anthropic"))
        for name in names:
            yield name, row


_EXACT: dict[str, Host] = {name: row for name, row in _rows() if "*" not in name and "{" not in name}
_PATTERNS: list[tuple[re.Pattern[str], Host]] = [
    (_host_pattern(name), row) for name, row in _rows() if name not in _EXACT
]
# One look for all patterns, because most hosts match none.
_ANY_PATTERN = _any_of(pattern for pattern, _ in _PATTERNS)
_BY_PROVIDER: dict[str, Host] = {}
for _, _row in _rows():
    _BY_PROVIDER.setdefault(_row.provider, _row)
_GATEWAY_PATTERNS = [(_host_pattern(name), key) for key, names in GATEWAYS.items() for name in names]
_ANY_GATEWAY = _any_of(pattern for pattern, _ in _GATEWAY_PATTERNS)
_ANY_ECHO = _any_of(_host_pattern(name) for name in ECHO_HOSTS)


def recognise(method: str, host: str, path: str, rules: Rules = ()) -> Route | None:
    """Return the route of a request that is to be metered, None for all other traffic.

    Args:
        method: The HTTP method.
        host: The host, with or without a port.
        path: The path as it is on the wire; a query is ignored.
        rules: The user's own rows, which come first: (host, or host and path prefix, provider).
    """
    if method not in ("POST", "GET") or len(path) > _LONGEST_PATH:
        return None
    return _recognise(method, host, path, rules)


@lru_cache(maxsize=4096)
def _recognise(method: str, host: str, path: str, rules: Rules) -> Route | None:
    host = host.lower().rstrip(".")
    path = re.sub(r"/{2,}", "/", path.partition("?")[0])
    if len(path) > 1:
        path = path.rstrip("/")
    name = _name_of(host)
    provider = _by_rule(host, name, path, rules)
    if provider is not None:
        return _by_provider(provider, method, name, path)
    row, region = _by_host(name)
    if row is not None:
        return _route(row, method, name, path, region)
    if _ANY_ECHO.fullmatch(name):
        return None
    return _elsewhere(method, host, name, path)


def _name_of(host: str) -> str:
    """Return a host without its port; an IPv6 address may stand with or without brackets."""
    if host.count(":") > 1 and not host.startswith("["):
        try:
            return str(ipaddress.ip_address(host))
        except ValueError:
            return host.rpartition(":")[0]
    return re.sub(r":\d*$", "", host)


def _by_rule(host: str, name: str, path: str, rules: Rules) -> str | None:
    for target, provider in rules:
        bare = target.partition("://")[2] or target
        rule_host, _, prefix = bare.lower().partition("/")
        # A rule's path prefix ends at a segment, so that /a does not catch /ab.
        if rule_host in (host, name) and f"{path.lower()}/".startswith(f"/{prefix}".rstrip("/") + "/"):
            return provider
    return None


def _by_host(name: str) -> tuple[Host | None, str | None]:
    row = _EXACT.get(name)
    if row is not None:
        return row, None
    if _ANY_PATTERN.fullmatch(name) is None:
        return None, None
    for pattern, candidate in _PATTERNS:
        found = pattern.fullmatch(name)
        if found:
            return candidate, found.groupdict().get("region")
    return None, None


def _by_provider(provider: str, method: str, name: str, path: str) -> Route | None:
    row = _BY_PROVIDER.get(provider) or dataclasses.replace(_ANY_HOST, provider=provider)
    if provider in ("litellm_proxy", "litellm"):
        row = Host("litellm_proxy", (), (*_ANY_HOST.families, "mistral"), _LITELLM, usage_on_request=True)
    route = _route(row, method, name, path, None, families=(*row.families, *_ANY_HOST.families))
    if route is None or row.provider != "litellm_proxy":
        return route
    return dataclasses.replace(route, gateway=True)


def _elsewhere(method: str, host: str, name: str, path: str) -> Route | None:
    """Return the route for a gateway or an unknown host, by the shape of the path."""
    gateway = None
    if _ANY_GATEWAY.fullmatch(name):
        gateway = next(key for pattern, key in _GATEWAY_PATTERNS if pattern.fullmatch(name))
    upstream = _upstream_in(path, 6 if gateway else 2)
    families = _ANY_HOST.families
    if upstream in _FAMILY_OF_UPSTREAM:
        families = (_FAMILY_OF_UPSTREAM[upstream], *families)
    elif upstream == "cloudflare":
        # Its own paths hold a model behind any word, so that the shapes of other families come first.
        families = (*families, upstream)
    for family in families:
        found = shape_of(family, method, path)
        if found is None:
            continue
        provider = _FAMILY_PROVIDERS[family]
        # The port that Ollama listens on, as it is delivered.
        on_ollama = gateway is None and host.endswith(":11434")
        if on_ollama:
            provider = "ollama"
        row = Host(
            gateway or provider,
            (),
            (family,),
            _FAMILY_ACCEPTS.get(family, USER_AND_METADATA),
            usage_on_request=gateway is None and upstream is None,
        )
        route = _route_of(row, found, name, path, None)
        return dataclasses.replace(
            route,
            price_provider=upstream,
            gateway=gateway is not None,
            # KServe and its like serve their own models under /openai, which is the name of a format as well.
            local=gateway is None and upstream in (None, "openai") and _is_local(name),
            certain=found[0].certain or gateway is not None or upstream is not None or on_ollama,
        )
    return None


def _upstream_in(path: str, depth: int) -> str | None:
    """Return the provider that one of the first segments of a path names."""
    for segment in path.split("/")[1 : depth + 1]:
        if segment in UPSTREAMS:
            return UPSTREAMS[segment]
    return None


def _route(
    row: Host,
    method: str,
    name: str,
    path: str,
    region: str | None,
    *,
    families: tuple[str, ...] | None = None,
) -> Route | None:
    if row.prefix and not path.startswith(row.prefix):
        return None
    for family in families or row.families:
        found = shape_of(family, method, path)
        if found is not None:
            route = _route_of(row, found, name, path, region)
            if row.provider == "huggingface":
                return dataclasses.replace(route, price_provider=_upstream_in(path, 1))
            return route
    return None


def _route_of(row: Host, found: tuple[Shape, str | None], name: str, path: str, region: str | None) -> Route:
    shape, model = found
    wire_format = row.formats.get(shape.wire_format, shape.wire_format)
    location = _LOCATION.search(path) if shape.family == "google" else None
    operation = shape.operation
    if wire_format == "vertex.rawPredict":
        publisher = _PUBLISHER.search(path)
        wire_format = _PUBLISHER_FORMATS.get(publisher[1] if publisher else "", _OPENAI_PUBLISHER_FORMAT)
        if model and model.startswith("mistral-ocr"):
            wire_format, operation = "mistral.ocr", "ocr"
    if model is None:
        named = _BEHIND_AZURE.search(path) or _ENGINE.search(path)
        model = named[1] if named else None
    # Readers in Anthropic's format take no `user`, whoever's host it is.
    accepts = _FAMILY_ACCEPTS["anthropic"] if wire_format.startswith("anthropic.") else row.accepts
    if "litellm" in row.accepts:
        accepts = row.accepts
    return Route(
        provider=row.provider,
        operation=operation,
        wire_format=wire_format,
        model=unquote(model) if model else None,
        region=location[1] if location else region or _region_of_openai(name),
        accepts=accepts,
        # Azure's older api-versions, which stand in the query of deployment paths, refuse the option.
        usage_on_request=row.usage_on_request
        and wire_format in ("openai.chat", "openai.completions")
        and "/deployments/" not in path,
        upload=shape.upload,
        follow_up=shape.follow_up,
    )


def _region_of_openai(name: str) -> str | None:
    # eu.api.openai.com and us.api.openai.com process data in that region, at a higher price.
    # https://platform.openai.com/docs/guides/your-data
    return name.partition(".")[0] if name.endswith(".api.openai.com") else None


def _is_local(name: str) -> bool:
    """Return whether a host is this machine or of a private network."""
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return "." not in name or name.endswith((".localhost", ".local", ".internal", ".lan"))
    return address.is_private or address.is_loopback or address.is_unspecified


def rules_of(providers: Mapping[str, str]) -> Rules:
    """Return the user's rows, the longest first, so that a path prefix wins over its host alone."""
    return tuple(sorted(providers.items(), key=lambda row: len(row[0]), reverse=True))
