"""`/add/allowed_ip`, `/delete/allowed_ip`, `/get/allowed_ips`: from where the routes may be called."""

from __future__ import annotations

from fastapi import HTTPException
from fastapi.responses import Response

from spend_middleware.api.access import Caller
from spend_middleware.api.addresses import network_of, within, written
from spend_middleware.api.answers import answer
from spend_middleware.api.asked import TheCaller, TheHouse
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas import AllowedIPs, IPAddress, Message

routes = Routes("Budget & Spend Tracking")


@routes.post("/add/allowed_ip", permission=Permission.ADMIN, response_model=Message)
def add_allowed_ip(house: TheHouse, caller: TheCaller, ip_address: IPAddress) -> Response:
    """Allow an address or a network; the first one turns the list on, and must hold the caller itself."""
    network = _network(ip_address.ip)
    _refuse_lockout(caller, [*house.directory.allowed_ips(), network])
    if not house.directory.add_allowed_ip(network):
        raise HTTPException(400, "IP address already exists")
    return answer({"message": f"IP {ip_address.ip} address added successfully", "status": "success"})


@routes.post("/delete/allowed_ip", permission=Permission.ADMIN, response_model=Message)
def delete_allowed_ip(house: TheHouse, caller: TheCaller, ip_address: IPAddress) -> Response:
    """Take an address or a network off the list; the last one turns the list off."""
    network = _network(ip_address.ip)
    left = [other for other in house.directory.allowed_ips() if other != network]
    _refuse_lockout(caller, left)
    if not house.directory.remove_allowed_ip(network):
        raise HTTPException(404, "IP address not found")
    return answer({"message": f"IP {ip_address.ip} deleted successfully", "status": "success"})


@routes.get(
    "/get/allowed_ips", permission=Permission.READ_ALL, response_model=AllowedIPs, include_in_schema=False
)
def get_allowed_ips(house: TheHouse) -> Response:
    """The list; null while everybody may call."""
    return answer({"data": list(house.directory.allowed_ips()) or None})


def _network(text: str) -> str:
    network = network_of(text) if len(text) <= 64 else None
    if network is None:
        raise HTTPException(
            400,
            f"Invalid IP address '{text[:64]}'. Expected an IPv4 or IPv6 address, or a network such as 10.0.0.0/8.",
        )
    return written(network)


def _refuse_lockout(caller: Caller, listed: list[str]) -> None:
    """Refuse a list that its own maker could not come back through."""
    if listed and not within(caller.address, listed):
        raise HTTPException(
            400,
            f"This list would lock you out: your address {caller.address} is not in it. "
            "Add your own address or network first.",
        )
