"""Who is asking: the right-most hop that is not one of our own proxies."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import Scope

from services.common.settings import Network

Address = IPv4Address | IPv6Address

SEEN = 4096  # texts whose reading is remembered: the same proxies and clients come again and again
HOME_BITS = 64  # one subscriber has all addresses of an IPv6 /64


def client_address(scope: Scope, trusted: Iterable[Network]) -> str | None:
    """Walk X-Forwarded-For from the right while the hop is trusted; what stands further left is anybody's claim."""
    peer = scope.get("client")
    hop = _parse(peer[0]) if peer else None
    if hop is None:
        return None
    trusted = tuple(trusted)
    forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
    while _is_trusted(hop, trusted) and forwarded:
        further = _parse(forwarded.pop())
        if further is None:
            break
        hop = further
    return str(hop)


def is_from(scope: Scope, networks: Iterable[Network]) -> bool:
    """Whether the peer of the connection itself is in one of the networks."""
    peer = scope.get("client")
    address = _parse(peer[0]) if peer else None
    return address is not None and _is_trusted(address, networks)


@lru_cache(SEEN)
def home(address: str | None) -> str:
    """Whose address it is: of IPv6 the /64, which one subscriber has whole. All of unknown address are one."""
    if address is None:
        return "unknown"
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, HOME_BITS), strict=False))
    return str(parsed)


def _is_trusted(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


@lru_cache(SEEN)
def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text.strip().strip("[]"))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
