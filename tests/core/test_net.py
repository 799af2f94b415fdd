"""Which addresses people may have us call: judged by example, and by properties over all of them."""

from __future__ import annotations

import ipaddress
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ApiError
from core.net import checked_url, is_public

PRIVATE_V4 = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.255.255",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
]  # fmt: skip
PUBLIC_V4 = ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.255.255", "172.32.0.1", "192.167.255.255"]
PRIVATE_V6 = [
    "::", "::1", "::7f00:1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "100::1",
    "2001:db8::1", "3fff::1", "2001:10::1", "2001:20::1", "64:ff9b:1::1", "5f00::1",
]  # fmt: skip
PUBLIC_V6 = ["2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "64:ff9b::808:808", "2002:808:808::1"]


@pytest.mark.parametrize("address", [*PRIVATE_V4, *PRIVATE_V6])
def test_inside(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", [*PUBLIC_V4, *PUBLIC_V6])
def test_outside(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("text", ["", "localhost", "api.openai.com", "127.1", "0x7f000001", "1.1.1.1 ", "1.1.1.1:80"])
def test_what_is_no_literal_address_is_not_public(text: str) -> None:
    assert not is_public(text)


@given(st.ip_addresses(v=4))
def test_nothing_ipaddress_calls_special_is_public(address: ipaddress.IPv4Address) -> None:
    special = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
    )
    assert not (special and is_public(str(address)))


@given(st.ip_addresses(v=4))
def test_an_embedded_address_is_judged_as_itself(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    judged = is_public(str(address))
    assert is_public(f"::ffff:{address}") == judged
    assert is_public(str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 1))) == judged
    assert is_public(str(ipaddress.IPv6Address((0x0064FF9B << 96) | number))) == judged
    # Teredo: the server in the clear, the client inverted; either may lead inside.
    server, client = 0x08080808, number ^ 0xFFFFFFFF
    assert is_public(str(ipaddress.IPv6Address((0x20010000 << 96) | (server << 64) | client))) == judged
    assert not is_public(str(ipaddress.IPv6Address((0x20010000 << 96) | (0x0A000001 << 64) | client)))


@given(st.ip_addresses(v=6))
def test_public_ipv6_is_global_unicast_or_carries_a_public_ipv4(address: ipaddress.IPv6Address) -> None:
    if is_public(str(address)):
        carries = address.ipv4_mapped or address.sixtofour or address in ipaddress.IPv6Network("64:ff9b::/96")
        assert carries or (address.is_global and not address.is_multicast)


def spellings(address: ipaddress.IPv4Address) -> list[str]:
    """What sockets and browsers take for this address."""
    number, parts = int(address), [int(part) for part in str(address).split(".")]
    return [
        str(address), str(number), hex(number), f"0{number:o}", ".".join(hex(part) for part in parts),
        ".".join(f"0{part:o}" for part in parts), f"{parts[0]}.{number & 0xFFFFFF}",
        f"{parts[0]}.{parts[1]}.{number & 0xFFFF}", f"{address}.", f"[::ffff:{address}]",
    ]  # fmt: skip


@given(st.ip_addresses(v=4))
def test_every_spelling_of_an_address_is_judged(address: ipaddress.IPv4Address) -> None:
    for host in spellings(address):
        if is_public(str(address)):
            url = checked_url(f"https://{host}/v1", allow_private=False)
            assert url in (f"https://{address}/v1", f"https://[{ipaddress.IPv6Address(f'::ffff:{address}')}]/v1")
        else:
            with pytest.raises(ApiError):
                checked_url(f"https://{host}/v1", allow_private=False)


@given(st.text(max_size=60))
def test_a_url_is_normalized_once_for_all_or_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://example.com{text}", f"https://example.com:{text}"):
        for allow_private in (False, True):
            with suppress(ApiError):
                once = checked_url(url, allow_private=allow_private)
                assert checked_url(once, allow_private=allow_private) == once
                assert once.isascii()
                assert once.isprintable()


@pytest.mark.parametrize(
    ("given_url", "normalized"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("  HTTPS://API.OpenAI.com./v1/  ", "https://api.openai.com/v1"),
        ("https://api.anthropic.com:443/", "https://api.anthropic.com"),
        ("https://example.com:8443/a/b//", "https://example.com:8443/a/b"),
        ("https://bücher.example/v1", "https://xn--bcher-kva.example/v1"),
        ("https://example。com", "https://example.com"),
        ("https://[2606:4700:4700:0::1111]/v1", "https://[2606:4700:4700::1111]/v1"),
        ("https://my-host_1.example.com/Path", "https://my-host_1.example.com/Path"),
    ],
)
def test_public_addresses(given_url: str, normalized: str) -> None:
    assert checked_url(given_url, allow_private=False) == normalized
    assert checked_url(given_url, allow_private=True) == normalized


PRIVATE_URLS = [
    ("http://localhost:8001/v1", "http://localhost:8001/v1"),
    ("http://vllm:8000/v1", "http://vllm:8000/v1"),
    ("http://127.0.0.1:80/v1", "http://127.0.0.1/v1"),
    ("https://2130706433/v1", "https://127.0.0.1/v1"),
    ("http://api.example.com/v1", "http://api.example.com/v1"),
    ("https://[::1]:8000", "https://[::1]:8000"),
    ("https://metadata.google.internal", "https://metadata.google.internal"),
    ("https://printer.local", "https://printer.local"),
]


@pytest.mark.parametrize(("url", "normalized"), PRIVATE_URLS)
def test_private_addresses_need_the_operators_word(url: str, normalized: str) -> None:
    with pytest.raises(ApiError):
        checked_url(url, allow_private=False)
    assert checked_url(url, allow_private=True) == normalized


@pytest.mark.parametrize(
    "url",
    [
        "", "   ", "example.com", "//example.com", "ftp://example.com", "file:///etc/passwd", "javascript:alert(1)",
        "https://", "https:///v1", "https://:443", "https://user@example.com", "https://user:pass@example.com",
        "https://@example.com", "https://example.com?x=1", "https://example.com/?", "https://example.com/#",
        "https://example.com#x", "https://example.com:0", "https://example.com:65536", "https://example.com:x",
        "https://example.com:6379", "https://example.com:22", "https://exa mple.com", "https://example.com/a b",
        "https://example.com\\@evil.test", "https://example.com/\r\nx", "https://example.com/v1/../x",
        "https://example.com/%2E%2e/x", "https://example.com/ü", "https://-example.com", "https://example-.com",
        "https://exa%6dple.com", "https://a..b", "https://1.2.3.4.5", "https://1.2.3.999", "https://08.1.1.1",
        "https://example.0x1f", "https://[fe80::1%25eth0]", "https://[v1.x]", "https://[::1",
        "https://" + "a" * 64 + ".com", "https://" + "a." * 130 + "com", "https://example.com/" + "a" * 500,
    ],
)  # fmt: skip
def test_nonsense_is_refused_by_everybody(url: str) -> None:
    for allow_private in (False, True):
        with pytest.raises(ApiError) as refused:
            checked_url(url, allow_private=allow_private)
        assert (refused.value.status, refused.value.code, refused.value.param) == (422, "invalid_url", "base_url")


@pytest.mark.parametrize(
    "address",
    ["168.63.129.16", "::ffff:168.63.129.16", "64:ff9b::a83f:8110", "192.80.8.124", "161.26.0.6", "166.9.0.1",
     "169.254.169.254", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254", "::ffff:0:7f00:1"],
)  # fmt: skip
def test_what_clouds_tell_their_machines_is_not_public(address: str) -> None:
    assert not is_public(address)
