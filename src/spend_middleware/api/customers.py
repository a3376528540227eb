"""The routes of customers, each also under LiteLLM's other name, /end_user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.answers import answer
from spend_middleware.api.asked import TheCaller
from spend_middleware.api.desk import TheDirectory, actor
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.refusals import enveloped, refusing
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_customers import (
    BlockUsers,
    BlockUsersResponse,
    CustomerResponse,
    DeleteCustomerRequest,
    DeleteCustomersResponse,
    NewCustomerRequest,
    UnblockUsersResponse,
    UpdateCustomerRequest,
)
from spend_middleware.api.schemas_entities import Part, budget_part, filled, usd
from spend_middleware.store import directory_customers
from spend_middleware.store.directory import Directory
from spend_middleware.store.directory_budgets import budgets_of
from spend_middleware.store.entities import SpendEndUser
from spend_middleware.store.report_values import By

routes = Routes("Customer Management")

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_TAKEN = enveloped("bad_request", "user_id")
_MISSING = "not_found"
"""LiteLLM's word for a customer that does not exist; elsewhere it is not_found_error."""


def _both(method: str, word: str, permission: Permission, model: Any) -> Callable[[Endpoint], Endpoint]:
    """Declare a route under /customer, and under /end_user outside of the OpenAPI document."""

    def declare(endpoint: Endpoint) -> Endpoint:
        routes.add(method, f"/customer/{word}", permission=permission, response_model=model)(endpoint)
        routes.add(
            method, f"/end_user/{word}", permission=permission, response_model=model, include_in_schema=False
        )(endpoint)
        return endpoint

    return declare


@_both("POST", "new", Permission.ADMIN, CustomerResponse)
def new_end_user(directory: TheDirectory, caller: TheCaller, data: NewCustomerRequest) -> Response:
    """Make a customer; customers that calls name are listed without that."""
    with refusing(taken=_TAKEN), directory.write(actor(caller)) as desk:
        customer = directory_customers.create(desk, data.wanted())
    return answer(_rows(directory, [customer])[0])


@_both("GET", "info", Permission.READ_ALL, CustomerResponse)
def end_user_info(
    directory: TheDirectory,
    end_user_id: Annotated[Part, Query(description="The customer, as calls name it.")],
) -> Response:
    """Show a customer and what it has spent, also one that only calls have named."""
    found = directory_customers.known(directory, [end_user_id])
    if not found:
        raise _unknown(end_user_id, "end_user_id")
    return answer(_rows(directory, found)[0])


@_both("POST", "update", Permission.ADMIN, CustomerResponse)
def update_end_user(directory: TheDirectory, caller: TheCaller, data: UpdateCustomerRequest) -> Response:
    """Change the fields of a customer that are given."""
    if not directory_customers.known(directory, [data.user_id]):
        raise _unknown(data.user_id, "user_id")
    with refusing(), directory.write(actor(caller)) as desk:
        customer = directory_customers.change(desk, data.user_id, data.wanted())
    return answer(_rows(directory, [customer])[0])


@_both("POST", "delete", Permission.ADMIN, DeleteCustomersResponse)
def delete_end_user(directory: TheDirectory, caller: TheCaller, data: DeleteCustomerRequest) -> Response:
    """Delete customers; their calls stay in the ledger, and the next call lists them again."""
    wanted = list(dict.fromkeys(data.user_ids))
    known = {customer.user_id for customer in directory_customers.known(directory, wanted)}
    missing = [user_id for user_id in wanted if user_id not in known]
    if missing:
        raise ProxyError(404, f"End User Id(s)={', '.join(missing)} do not exist in db", _MISSING, "user_ids")
    with directory.write(actor(caller)) as desk:
        for user_id in wanted:
            directory_customers.delete(desk, user_id)
    return answer(
        {
            "deleted_customers": len(wanted),
            "message": "Successfully deleted customers with ids: " + ", ".join(wanted),
        }
    )


@_both("POST", "block", Permission.ADMIN, BlockUsersResponse)
def block_user(directory: TheDirectory, caller: TheCaller, data: BlockUsers) -> Response:
    """Mark customers as blocked."""
    with directory.write(actor(caller)) as desk:
        blocked = [
            directory_customers.change(desk, user_id, {"blocked": True})
            for user_id in dict.fromkeys(data.user_ids)
        ]
    return answer({"blocked_users": _rows(directory, blocked)})


@_both("POST", "unblock", Permission.ADMIN, UnblockUsersResponse)
def unblock_user(directory: TheDirectory, caller: TheCaller, data: BlockUsers) -> Response:
    """Take the mark off customers, and name those that still have it."""
    with directory.write(actor(caller)) as desk:
        for user_id in dict.fromkeys(data.user_ids):
            if desk.get(SpendEndUser, user_id) is not None:
                directory_customers.change(desk, user_id, {"blocked": False})
        desk.session.flush()
        still = [customer.user_id for customer in directory_customers.rows(desk) if customer.blocked]
    return answer({"blocked_users": still})


@_both("GET", "list", Permission.READ_ALL, list[CustomerResponse])
def list_end_user(directory: TheDirectory) -> Response:
    """List all customers, those too that only calls have named, in the order of their ids."""
    return answer(_rows(directory, directory_customers.known(directory)))


def _unknown(user_id: str, param: str) -> ProxyError:
    return ProxyError(404, f"End User Id={user_id} does not exist in db", _MISSING, param)


def _rows(directory: Directory, customers: Sequence[SpendEndUser]) -> list[dict[str, Any]]:
    accounts = directory.accounts.of(By.END_USER, {one.user_id: one for one in customers})
    with directory.read() as desk:
        budgets = budgets_of(desk, customers)
    return [
        filled(
            CustomerResponse,
            {
                "user_id": one.user_id,
                "blocked": one.blocked,
                "alias": one.alias,
                "spend": usd(accounts[one.user_id].spend),
                "allowed_model_region": one.allowed_model_region,
                "default_model": one.default_model,
                "models": one.models,
                "budget_id": one.budget_id,
                "litellm_budget_table": budget_part(directory, budgets.get(one.budget_id or "")),
            },
            one.extras,
        )
        for one in customers
    ]
