"""The way to a model server: its key, the proxy, certificates; and our errors for those of the HTTP library."""

from __future__ import annotations

import logging
import os
import ssl
from typing import Any

import httpx

from embodied_r_ros.adapters.masking import Mask
from embodied_r_ros.adapters.proxies import is_on_own_network, without_credentials
from embodied_r_ros.core.errors import (
    BackendError,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
    SettingsError,
)

logger = logging.getLogger(__name__)

CONNECT_S = 5.0


def api_key(variable: str) -> str:
    """The key in an environment variable, '' for none.

    Raises:
        SettingsError: it cannot stand in a header.
    """
    key = os.environ.get(variable, '').strip()
    if not (key.isascii() and key.isprintable()):
        raise SettingsError(f'{variable} must hold printable ASCII characters only, it holds others; set it anew')
    return key


def connection(url: str, proxy: str, key: str) -> dict[str, Any]:
    """How each `httpx.AsyncClient` speaks to the server at `url`; a proxy to a host nearby is warned of.

    Raises:
        SettingsError: the url, the certificates or the proxy that the environment names cannot be used.
    """
    try:
        host = httpx.URL(url).host
    except httpx.InvalidURL as error:
        raise SettingsError(f'url must look like http://host:8000/v1, got {url!r}: {error}') from error
    if proxy and is_on_own_network(host):
        logger.warning(
            '%s is on the local network, but is reached through the proxy %s of the environment; add %s to NO_PROXY to '
            'reach it directly',
            url,
            without_credentials(proxy),
            host,
        )
    headers = {'Accept-Encoding': 'identity', **({'Authorization': f'Bearer {key}'} if key else {})}
    return {
        'headers': headers,
        'timeout': httpx.Timeout(None, connect=CONNECT_S),
        'verify': _certificates(url),
        'proxy': _proxy(proxy) if proxy else None,
        'trust_env': False,
        'follow_redirects': False,
    }


def translate(error: Exception, place: str, mask: Mask | None = None) -> BackendError:
    """Our error for one of httpx's; `place` is the server's url, with the proxy that leads to it."""
    said = (mask or Mask())(str(error))
    what = f'{type(error).__name__}: {said}' if said else type(error).__name__
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        return BackendUnavailable(
            f'a model server was wanted at {place}, nobody answers ({what}); start it, or set url'
        )
    if isinstance(error, httpx.TimeoutException):
        return BackendTimeout(f'{place} did not answer in time ({what}); allow more time')
    if isinstance(
        error, (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.DecodingError, httpx.LocalProtocolError)
    ):
        return BackendRefused(f'{place} cannot be spoken to ({what}); check url')
    return BackendUnavailable(f'the connection to {place} broke ({what}); try again')


def _certificates(url: str) -> ssl.SSLContext:
    """Made once for all connections: loading the certificates costs 30 ms, and plain HTTP needs none."""
    if not url.startswith('https:'):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise SettingsError(
            f'certificates for {url} were wanted, they cannot be read ({error.strerror or error}); set SSL_CERT_FILE '
            'to a PEM file'
        ) from error


def _proxy(proxy: str) -> httpx.Proxy:
    shown = without_credentials(proxy)
    try:
        made = httpx.Proxy(proxy)
        made.url.host.encode('idna')  # as connecting does
        httpx.AsyncHTTPTransport(proxy=made)
    except (ValueError, httpx.InvalidURL, ImportError):
        raise SettingsError(
            f'the environment names the proxy {shown}, which cannot be used; use one such as http://host:3128 (socks '
            'needs the Python package socksio), or add the server to NO_PROXY'
        ) from None
    return made
