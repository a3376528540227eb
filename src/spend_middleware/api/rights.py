"""What a virtual key may do and see on each route: decided here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spend_middleware.api.errors import ProxyError
from spend_middleware.api.routing import Permission
from spend_middleware.store.key_record import KeyRecord
from spend_middleware.store.report_values import EVERYTHING, Scope

PROXY_ADMIN = "proxy_admin"
PROXY_ADMIN_VIEWER = "proxy_admin_viewer"
INTERNAL_USER = "internal_user"
INTERNAL_USER_VIEWER = "internal_user_viewer"

_EVERYBODY = frozenset({PROXY_ADMIN, PROXY_ADMIN_VIEWER, INTERNAL_USER, INTERNAL_USER_VIEWER})
_ROLES: Mapping[Permission, frozenset[str]] = {
    Permission.ADMIN: frozenset({PROXY_ADMIN}),
    Permission.READ_ALL: frozenset({PROXY_ADMIN, PROXY_ADMIN_VIEWER}),
    Permission.GLOBAL_SPEND: frozenset({PROXY_ADMIN, PROXY_ADMIN_VIEWER}),
    Permission.SPEND: _EVERYBODY,
    Permission.ANALYTICS: _EVERYBODY,
    Permission.OWN_KEYS: frozenset({PROXY_ADMIN, INTERNAL_USER}),
}
_WRITES = frozenset({Permission.ADMIN, Permission.OWN_KEYS})
_OPENED_BY_KEY = frozenset({Permission.GLOBAL_SPEND, Permission.SPEND})


def role_of(record: KeyRecord) -> str | None:
    """Return the role of a key's owner; one whose user has none may read what is its own, and nothing else."""
    return record.user_role or (INTERNAL_USER_VIEWER if record.user_id else None)


def authorise(record: KeyRecord, path: str, permission: Permission) -> Scope:
    """Return what a virtual key may see on a route, or raise the refusal."""
    if permission is Permission.MASTER:
        raise ProxyError(
            401,
            f"Authentication Error, Tried to access route={path}, which is only for MASTER KEY",
            "auth_error",
        )
    named = any(_names(pattern, path) for pattern in record.allowed_routes)
    if record.allowed_routes and not named and not _grouped(record.allowed_routes, path):
        raise ProxyError(
            401,
            "Authentication Error, Virtual key is not allowed to call this route. "
            f"Only allowed to call routes: {list(record.allowed_routes)}. Tried to call route: {path}",
            "auth_error",
        )
    role = role_of(record)
    if permission in _OPENED_BY_KEY and record.permissions.get("get_spend_routes") is True:
        return EVERYTHING
    if permission is Permission.ANY_KEY or role in _ROLES[permission]:
        return own_scope(record)
    if permission in _OPENED_BY_KEY and named:
        # A reporting key that belongs to nobody was made to see all; one that has an owner sees its owner's.
        return own_scope(record) if record.user_id or record.team_id or record.organization_id else EVERYTHING
    raise _refusal(record, path, permission)


def own_scope(record: KeyRecord) -> Scope:
    """Return the part of the ledger that belongs to the holder of a key."""
    if record.user_role in (PROXY_ADMIN, PROXY_ADMIN_VIEWER):
        return EVERYTHING
    if record.user_id:
        return Scope(users=frozenset({record.user_id}))
    if record.team_id:
        return Scope(teams=frozenset({record.team_id}))
    return Scope(keys=frozenset({record.key_hash}))


def _refusal(record: KeyRecord, path: str, permission: Permission) -> ProxyError:
    if record.user_role == PROXY_ADMIN_VIEWER and permission in _WRITES:
        return ProxyError(
            403,
            f"user not allowed to access this route, role= {record.user_role}. Trying to access: {path}",
            "auth_error",
        )
    if permission is Permission.ANALYTICS:
        return ProxyError(
            403,
            "Service-account keys cannot query user analytics: this key belongs to no user. "
            "Use a key with a user_id.",
            "auth_error",
        )
    return ProxyError(
        401,
        "Authentication Error, Only proxy admin can be used to generate, delete, update info for new "
        f"keys/users/teams. Route={path}. Your role={role_of(record) or 'unknown'}. "
        f"Your user_id={masked(record.user_id or 'None')}",
        "auth_error",
    )


def _names(pattern: str, path: str) -> bool:
    return pattern == path or (pattern.endswith("*") and path.startswith(pattern[:-1]))


# LiteLLM's names for sets of routes. They narrow what a key's role allows; they open nothing by themselves.
_GROUPS: Mapping[str, tuple[str, ...]] = {
    "spend_tracking_routes": ("/spend/",),
    "global_spend_tracking_routes": ("/global/",),
    "management_routes": (
        "/key/",
        "/team/",
        "/v2/team/",
        "/user/",
        "/v2/user/",
        "/customer/",
        "/end_user/",
        "/organization/",
        "/budget/",
        "/tag/",
    ),
    "info_routes": ("/key/info", "/key/list", "/team/info", "/team/list", "/user/info", "/organization/list"),
    "llm_api_routes": ("/models", "/v1/models", "/model/info", "/v1/model/info"),
    "openai_routes": ("/models", "/v1/models"),
}


def _grouped(allowed_routes: Sequence[str], path: str) -> bool:
    return any(path.startswith(_GROUPS.get(name, ())) for name in allowed_routes)


def masked(text: str) -> str:
    """Return a text that tells its owner which one is meant, and nobody else what it is."""
    return f"{text[:3]}...{text[-4:]}" if len(text) >= 12 else f"{text[:2]}..."
