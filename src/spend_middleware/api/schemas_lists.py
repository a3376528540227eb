"""What the lists of keys, teams and users are asked with: LiteLLM's parameters."""

from typing import Literal

from pydantic import BaseModel, Field

from spend_middleware.api.desk import QueryPage, Search
from spend_middleware.api.schemas_entities import Part


class KeysAsked(BaseModel):
    """Which keys are listed."""

    page: QueryPage = 1
    size: int = Field(10, ge=1, le=100, description="Keys a page.")
    user_id: Part | None = None
    team_id: Part | None = None
    organization_id: Part | None = None
    key_hash: Part | None = Field(None, description="A key or its hash.")
    key_alias: Part | None = None
    search: Search = None
    return_full_object: bool = Field(False, description="Whole keys in place of hashes.")
    include_team_keys: bool = Field(False, description="Also the keys of the teams that the caller leads.")
    include_created_by_keys: bool = Field(
        False, description="Also the keys that the caller has made for others."
    )
    expand: list[Part] | None = Field(None, description="Accepted; whole keys name their users.")
    sort_by: Part | None = None
    sort_order: Literal["asc", "desc"] = "desc"
    status: Part | None = Field(None, description="active, blocked (or revoked), expired or deleted.")
    project_id: Part | None = None
    access_group_id: Part | None = None
    agent_id: Part | None = None
    substring_matching: bool = Field(False, description="Take key_alias for a piece of the alias.")
    expires: Part | None = Field(None, description="active or expired, whether blocked or not.")


class TeamsAsked(BaseModel):
    """Which teams are listed."""

    user_id: Part | None = Field(None, description="Teams that this user is a member of.")
    organization_id: Part | None = None
    team_id: Part | None = None
    team_alias: Part | None = Field(None, description="A piece of the alias.")
    search: Search = None
    search_team_id_match: Literal["exact", "prefix"] = Field(
        "exact", description="How `search` is compared with ids."
    )
    status: Literal["deleted"] | None = Field(None, description="Deleted teams are not kept: none.")
    page: QueryPage = 1
    page_size: int = Field(10, ge=1, le=100, description="Teams a page.")
    sort_by: Part | None = None
    sort_order: Literal["asc", "desc"] = "asc"


class UsersAsked(BaseModel):
    """Which users are listed."""

    role: Part | None = None
    user_ids: Part | None = Field(None, description="Ids, separated by commas.", max_length=10_000)
    sso_user_ids: Part | None = Field(None, description="Ids, separated by commas.")
    user_email: Part | None = Field(None, description="A piece of the address.")
    search: Search = None
    team: Part | None = Field(None, description="Members of this team.")
    page: QueryPage = 1
    page_size: int = Field(25, ge=1, le=100, description="Users a page.")
    sort_by: Part | None = None
    sort_order: Literal["asc", "desc"] = "asc"
    organization_ids: Part | None = Field(None, description="Ids, separated by commas.")
