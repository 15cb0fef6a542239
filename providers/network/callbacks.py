"""Calling out, without being made to call inside our own network (SSRF): every call to a platform goes through here.

The name is resolved, every address it has is judged, and the connection goes to one that was judged: between check and
call no other answer of the DNS can come in. TLS still proves the name. No proxy, no redirect.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import httpcore
import httpx
from django.utils.translation import gettext as _

Address = IPv4Address | IPv6Address

LONGEST_URL = 2000
# Ports of the web. Below 1024 there is nothing else that a callback could be meant for, but mail and shells.
LOW_PORTS = frozenset({80, 443})

# What a policy may open: one's own machine, private networks (RFC 1918, RFC 4193), shared ones (RFC 6598).
INSIDE = tuple(
    map(
        ip_network,
        ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7"),
    )
)
# What none may: metadata services of clouds that do not answer on a link-local address.
NEVER = frozenset(map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")))
UNICAST = ip_network("2000::/3")  # all that is handed out of IPv6
# An IPv4 address travels in the last 32 bits: NAT64 (RFC 6052) and the old "compatible" form (RFC 4291).
EMBEDDING = tuple(map(ip_network, ("64:ff9b::/96", "::/96")))


class ForbiddenAddress(httpx.UnsupportedProtocol):
    """Nothing was sent. The text is for people and names no more than the host."""


@dataclass(frozen=True)
class Policy:
    """`private`: loopback and private networks may be called. `plain`: without TLS."""

    private: bool = False
    plain: bool = False


# --- judging ----------------------------------------------------------------------------------------------------------


def check_url(url: str, policy: Policy) -> None:
    """Raises ForbiddenAddress for what could never be called. Asks no DNS."""
    if len(url) > LONGEST_URL or not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        raise ForbiddenAddress(_("This is no web address."))
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise ForbiddenAddress(_("This is no web address.")) from None
    schemes = ("https", "http") if policy.plain else ("https",)
    if parts.scheme not in schemes:
        told = {"schemes": ", ".join(schemes)}
        raise ForbiddenAddress(_("An address must begin with one of: %(schemes)s.") % told)
    if not parts.host or parts.userinfo or parts.fragment or "#" in url:
        raise ForbiddenAddress(_("An address names a host, and neither a user nor a fragment."))
    port = 443 if parts.port is None else parts.port
    if port not in LOW_PORTS and not 1024 <= port <= 65535:
        raise ForbiddenAddress(_("Port %(port)s is not one of the web.") % {"port": port})
    if (literal := _find_literal(parts.host)) and not is_allowed(literal, policy):
        raise _forbidden(parts.host)


def check_reachable(url: str, policy: Policy) -> None:
    """`check_url`, and every address behind its name. Raises ForbiddenAddress."""
    check_url(url, policy)
    parts = httpx.URL(url)
    try:
        resolve(parts.host, parts.port or 443, policy)
    except httpcore.ConnectError:
        raise ForbiddenAddress(_("Nobody knows the host %(host)s.") % {"host": parts.host}) from None


def resolve(host: str, port: int, policy: Policy) -> list[str]:
    """The addresses of a host, all of them allowed. Raises ForbiddenAddress, or ConnectError where there is none."""
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(str(error)) from None
    found = list(dict.fromkeys(str(row[4][0]) for row in rows))
    if not found:
        raise httpcore.ConnectError("no address")
    # One forbidden address among good ones is how a name is made to lead inside at the second try.
    if not all(is_allowed(ip_address(each), policy) for each in found):
        raise _forbidden(host)
    return found


def is_allowed(address: Address, policy: Policy) -> bool:
    return all(_is_allowed(each, policy) for each in _unwrapped(address))


def _is_allowed(address: Address, policy: Policy) -> bool:
    if address.is_multicast or address.is_unspecified or address.is_link_local or address in NEVER:
        return False
    if any(address.version == net.version and address in net for net in INSIDE):
        return policy.private
    return address.is_global and (address.version == 4 or address in UNICAST)


def _unwrapped(address: Address) -> Iterator[Address]:
    """The IPv4 addresses that an IPv6 one stands for, or itself."""
    if isinstance(address, IPv4Address) or address.is_loopback or address.is_unspecified:
        yield address
    elif address.ipv4_mapped or address.sixtofour:
        yield address.ipv4_mapped or address.sixtofour  # type: ignore[misc]
    elif address.teredo:
        yield from address.teredo
    elif any(address in net for net in EMBEDDING):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
    else:
        yield address


def _find_literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _forbidden(host: str) -> ForbiddenAddress:
    return ForbiddenAddress(_("%(host)s leads to an address that must not be called.") % {"host": host})


# --- calling ----------------------------------------------------------------------------------------------------------


class GuardedBackend(httpcore.NetworkBackend):
    """Opens connections to judged addresses only; whatever the name says a moment later plays no part."""

    def __init__(self, policy: Policy, backend: httpcore.NetworkBackend | None = None) -> None:
        self.policy = policy
        self.backend = backend or httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError(host)
        for address in resolve(host, port, self.policy):
            try:
                return self.backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def connect_unix_socket(self, path: str, *args: Any, **options: Any) -> httpcore.NetworkStream:
        raise _forbidden(path)


class GuardedTransport(httpx.HTTPTransport):
    """httpx's own transport, its connections opened by the guard. A kept connection was judged when it was opened."""

    def __init__(self, policy: Policy, limits: httpx.Limits, backend: httpcore.NetworkBackend | None = None) -> None:
        context = httpx.create_ssl_context()
        super().__init__(verify=context, trust_env=False)
        self.policy = policy
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=GuardedBackend(policy, backend),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        check_url(str(request.url), self.policy)
        return super().handle_request(request)
