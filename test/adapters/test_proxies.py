"""Which proxy leads to a server."""

from __future__ import annotations

import asyncio
import logging

import pytest

from embodied_r_ros.adapters.openai_http import LM_KEY, OpenAIClient
from embodied_r_ros.adapters.proxies import is_on_own_network, proxy_for, without_credentials
from embodied_r_ros.core.errors import BackendUnavailable, SettingsError
from embodied_r_ros.core.models import ServerSettings

PROXY = 'http://127.0.0.1:9'


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ('http_proxy', 'https_proxy', 'all_proxy', 'no_proxy', 'REQUEST_METHOD'):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ('url', 'environment', 'proxy'),
    [
        ('http://h.org/v1', {}, ''),
        ('http://h.org/v1', {'http_proxy': PROXY}, PROXY),
        ('http://h.org/v1', {'HTTP_PROXY': PROXY}, PROXY),
        ('http://h.org/v1', {'HTTP_PROXY': 'http://p:1', 'http_proxy': PROXY}, PROXY),
        ('http://h.org/v1', {'HTTP_PROXY': PROXY, 'REQUEST_METHOD': 'GET'}, ''),
        ('http://h.org/v1', {'http_proxy': ' p:3128 '}, 'http://p:3128'),
        ('http://h.org/v1', {'http_proxy': '', 'ALL_PROXY': 'socks5://p'}, 'socks5://p'),
        ('http://h.org/v1', {'https_proxy': PROXY}, ''),
        ('https://h.org/v1', {'http_proxy': PROXY}, ''),
        ('https://h.org/v1', {'HTTPS_PROXY': PROXY}, PROXY),
        ('https://h.org/v1', {'all_proxy': PROXY}, PROXY),
        ('http://localhost:8000/v1', {'http_proxy': PROXY}, ''),
        ('http://a.localhost/v1', {'http_proxy': PROXY}, ''),
        ('http://127.1.2.3/v1', {'http_proxy': PROXY}, ''),
        ('http://0.0.0.0:8000/v1', {'http_proxy': PROXY}, ''),
        ('http://[::1]:8000/v1', {'http_proxy': PROXY}, ''),
        ('http://[::]:8000/v1', {'http_proxy': PROXY}, ''),
    ],
)
def test_the_environment_names_the_proxy(url, environment, proxy):
    assert proxy_for(url, environment) == proxy


@pytest.mark.parametrize(
    ('url', 'no_proxy', 'is_direct'),
    [
        ('http://h.org/v1', '*', True),
        ('http://h.org/v1', 'h.org', True),
        ('http://H.ORG./v1', 'h.Org.', True),
        ('http://a.h.org/v1', 'h.org', True),
        ('http://a.h.org/v1', '.h.org', True),
        ('http://h.org/v1', '.h.org', True),
        ('http://ah.org/v1', 'h.org', False),
        ('http://h.org/v1', 'x, h.org', True),
        ('http://h.org/v1', 'x h.org', True),
        ('http://a.local:8000/v1', '192.168.0.0/16,*.local,localhost', True),
        ('http://local.org/v1', '*.local', False),
        ('http://192.168.1.5:8000/v1', '192.168.0.0/16,*.local,localhost', True),
        ('http://192.169.1.5:8000/v1', '192.168.0.0/16', False),
        ('http://192.168.1.5/v1', '192.168.1.5', True),
        ('http://192.168.1.5/v1', '168.1.5', False),
        ('http://h168.1.5/v1', '192.168.0.0/99', False),
        ('http://h.org:8000/v1', 'h.org:8000', True),
        ('http://h.org:8001/v1', 'h.org:8000', False),
        ('http://h.org/v1', 'h.org:80', True),
        ('https://h.org/v1', 'h.org:443', True),
        ('http://[fd00::5]:8000/v1', 'fd00::/8', True),
        ('http://[fd00::5]:8000/v1', '[fd00::5]', True),
        ('http://[fd00::5]:8000/v1', '[fd00::5]:8000', True),
        ('http://[fd00::5]:8001/v1', '[fd00::5]:8000', False),
        ('http://[fd00::5]:8000/v1', '[fd00::]/8', True),
        ('http://[fd00::5]:8000/v1', 'fd00:0::5', True),
        ('http://[fe00::5]:8000/v1', 'fd00::/8', False),
        ('http://h.org/v1', ', ,.,*.,:,[,]', False),
    ],
)
def test_exceptions_are_read_as_curl_and_go_read_them(url, no_proxy, is_direct):
    assert proxy_for(url, {'ALL_PROXY': PROXY, 'NO_PROXY': no_proxy}) == ('' if is_direct else PROXY)


@pytest.mark.parametrize(
    ('host', 'is_near'),
    [
        ('192.168.1.5', True),
        ('10.0.0.1', True),
        ('169.254.3.4', True),
        ('fe80::1', True),
        ('fd00::1', True),
        ('gpu', True),
        ('gpu.local', True),
        ('api.org', False),
        ('8.8.8.8', False),
    ],
)
def test_the_own_network_is_known(host, is_near):
    assert is_on_own_network(host) is is_near


@pytest.mark.parametrize(
    ('proxy', 'shown'),
    [
        ('http://me:hush@p:1', 'http://***@p:1'),
        ('http://me:h@sh@p:1', 'http://***@p:1'),
        ('http://me@p', 'http://***@p'),
        ('http://me:hu/sh@p', 'http://***@p'),
        ('http://p:1', 'http://p:1'),
    ],
)
def test_a_proxy_is_shown_without_its_password(proxy, shown):
    assert without_credentials(proxy) == shown


def test_a_proxy_to_the_own_network_is_warned_of_and_named_where_nobody_answers(monkeypatch, caplog):
    monkeypatch.setenv('http_proxy', 'http://me:hush@127.0.0.1:9')

    async def ask():
        client = OpenAIClient(ServerSettings(url='http://192.168.1.5:8000/v1', timeout_s=5.0, retries=0), LM_KEY)
        try:
            await client.probe()
        finally:
            await client.aclose()

    with caplog.at_level(logging.WARNING), pytest.raises(BackendUnavailable) as caught:
        asyncio.run(ask())
    shown = 'through the proxy http://***@127.0.0.1:9 of the environment'
    assert f'http://192.168.1.5:8000/v1 ({shown}), nobody answers' in str(caught.value)
    assert len(caplog.records) == 1 and shown in caplog.text and 'add 192.168.1.5 to NO_PROXY' in caplog.text
    assert 'hush' not in caplog.text + str(caught.value)


@pytest.mark.parametrize(
    'proxy', ['ftp://me:hush@p', 'http://me:hush@a..b', 'socks5://me:hush@p:1', 'http://me:hush@p:x']
)
def test_a_proxy_that_cannot_be_used_is_a_settings_error(monkeypatch, proxy):
    monkeypatch.setenv('http_proxy', proxy)
    with pytest.raises(SettingsError, match='names the proxy .* cannot be used; use one such as') as caught:
        OpenAIClient(ServerSettings(url='http://h.org/v1'), LM_KEY)
    assert 'hush' not in str(caught.value)
