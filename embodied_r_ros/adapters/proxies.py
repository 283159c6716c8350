"""Which proxy of the environment leads to a server, as curl and Go read the variables."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Union
from urllib.parse import urlsplit

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]  # noqa: UP007 - Python 3.10 builds it when it runs

_PORTS = {'http': 80, 'https': 443}


def proxy_for(url: str, environment: Mapping[str, str]) -> str:
    """URL of the proxy to ask for `url`, '' to go there directly.

    `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` count, also in capitals; small letters come first.
    HTTP_PROXY does not count in a CGI program, where a caller's header sets it. Entries of `no_proxy` are '*', host
    names (which stand for all names that end so), addresses, networks such as 192.168.0.0/16, each with a port or
    without. This machine is always reached directly.
    """
    parts = urlsplit(url)
    host, port = _plain(parts.hostname or ''), parts.port or _PORTS.get(parts.scheme, 0)
    if is_this_machine(host) or _is_excepted(host, port, _either('no_proxy', environment)):
        return ''
    if parts.scheme == 'http' and 'REQUEST_METHOD' in environment:
        proxy = environment.get('http_proxy', '').strip()
    else:
        proxy = _either(f'{parts.scheme}_proxy', environment)
    proxy = proxy or _either('all_proxy', environment)
    return proxy if not proxy or '://' in proxy else f'http://{proxy}'


def is_this_machine(host: str) -> bool:
    """Whether a host is a loopback address or name, or 0.0.0.0, which leads to this machine as well."""
    address = _address(_plain(host))
    if address is not None:
        return address.is_loopback or address.is_unspecified
    return _plain(host) == 'localhost' or _plain(host).endswith('.localhost')


def is_on_own_network(host: str) -> bool:
    """Whether a host is on the robot's own network: a private or link-local address, *.local, a name without dots."""
    address = _address(_plain(host))
    if address is not None:
        return address.is_private or address.is_link_local
    return '.' not in _plain(host) or _plain(host).endswith('.local')


def without_credentials(proxy: str) -> str:
    """A proxy's URL as it may be shown, without user and password."""
    scheme, _, rest = proxy.partition('://')
    return f'{scheme}://***@{rest.rpartition("@")[2]}' if '@' in rest else proxy


def credentials(proxy: str) -> list[str]:
    """User, password and both together as they stand in a proxy's URL: what must not be shown."""
    userinfo = proxy.partition('://')[2].rpartition('@')[0]
    return [userinfo, *userinfo.split(':', 1)] if userinfo else []


def _either(name: str, environment: Mapping[str, str]) -> str:
    return environment.get(name, '').strip() or environment.get(name.upper(), '').strip()


def _plain(host: str) -> str:
    """A host without brackets, zone and final dot, in small letters."""
    return host.strip().strip('[]').partition('%')[0].rstrip('.').lower()


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_excepted(host: str, port: int, no_proxy: str) -> bool:
    return any(_matches(host, port, entry) for entry in no_proxy.replace(',', ' ').split())


def _matches(host: str, port: int, entry: str) -> bool:
    if entry == '*':
        return True
    name, wanted_port = _split_port(entry)
    if wanted_port and wanted_port != str(port):
        return False
    address = _address(host)
    if address is not None:
        try:
            return address in ipaddress.ip_network(_plain(name), strict=False)
        except ValueError:
            return False
    suffix = _plain(name).removeprefix('*').removeprefix('.')
    return bool(suffix) and (host == suffix or host.endswith('.' + suffix))


def _split_port(entry: str) -> tuple[str, str]:
    """An entry's host or network, and its port, '' for any."""
    if entry.startswith('['):
        name, _, port = entry[1:].partition(']')
        return (name + port, '') if port.startswith('/') else (name, port.lstrip(':'))
    if entry.count(':') == 1:
        name, _, port = entry.partition(':')
        return name, port
    return entry, ''
