"""Which addresses this installation may be sent to by its users: the one policy against server-side request forgery.

`checked_url` judges what somebody enters. A name says nothing about where it leads, today or tomorrow, so whoever
connects judges again, with `is_public`, every address the name resolves to at that moment, and follows no redirects.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

import idna

from core.errors import ApiError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_CHARACTERS = 500
# Ports of protocols that are no HTTP and answer to strangers' bytes all the same: mail, databases, caches, shells.
_REFUSED_PORTS = frozenset(
    {1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110}
    | {111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531}
    | {532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3306, 3389, 3659, 4045}
    | {4190, 5060, 5061, 5432, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 11211, 27017}
)
# Networks that ipaddress calls global and that lead back inside, or nowhere.
_MORE_PRIVATE = [
    ipaddress.ip_network(text)
    for text in (
        "100.64.0.0/10",  # carriers' NAT
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # relays of 6to4
        # Public addresses that lead to the own cloud's machinery, from inside of it.
        "168.63.129.16/32",  # Azure's host agent
        "192.80.8.124/32",  # Equinix Metal's metadata
        "161.26.0.0/16",  # IBM Cloud's services
        "166.8.0.0/14",  # IBM Cloud's service endpoints
        "198.18.0.0/15",  # benchmarks
        "::/96",  # IPv4-compatible
        "::ffff:0:0:0/96",  # IPv4-translated
        "64:ff9b:1::/48",  # local NAT64
        "100::/64",  # discard
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "fec0::/10",  # former site-local
    )
]
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.IGNORECASE)
# Names that never leave the machine or its network.
_LOCAL_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "localdomain", "home.arpa")


def is_public(address: str) -> bool:
    """Whether a literal IP address is of the public Internet. What is no literal address is not.

    An IPv6 address that carries an IPv4 one (mapped, 6to4, Teredo, NAT64) is public when that one is, too.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.scope_id is not None:
            return False
        embedded = _embedded(parsed)
        if embedded:
            return all(is_public(str(each)) for each in embedded)
    return parsed.is_global and not (
        parsed.is_multicast
        or parsed.is_reserved
        or parsed.is_loopback
        or parsed.is_link_local
        or parsed.is_private
        or parsed.is_unspecified
        or any(parsed in network for network in _MORE_PRIVATE if network.version == parsed.version)
    )


def _embedded(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)]
    return []


def checked_url(url: str, *, allow_private: bool, param: str = "base_url") -> str:
    """The address normalized: lower-case ASCII host, no default port, no slash at the end.

    Raises ApiError 422 on `param` for whatever is no plain https address of the public Internet. `allow_private` lets
    http and this network's own addresses through; names are judged when they are resolved.
    """
    try:
        return _normalized(url.strip(), allow_private=allow_private)
    except ValueError as error:
        raise ApiError(422, "invalid_url", str(error), param=param) from error


def checked_endpoint(url: str, *, allow_private: bool, param: str) -> None:
    """An address that is used just as it was given: some have a token behind a question mark, and none is rewritten.

    Raises ApiError 422 on `param`, as `checked_url` does.
    """
    base, _, query = url.partition("?")
    is_plain = url.isascii() and url.isprintable() and " " not in url
    if not is_plain or "#" in url or "\\" in query:
        raise ApiError(422, "invalid_url", "An address has no spaces, #, line breaks or backslashes.", param=param)
    checked_url(base, allow_private=allow_private, param=param)


def _normalized(url: str, *, allow_private: bool) -> str:
    if len(url) > MOST_CHARACTERS:
        raise ValueError(f"An address has at most {MOST_CHARACTERS} characters.")
    if any(sign <= " " or sign == "\\" or sign == "\x7f" for sign in url):
        raise ValueError("An address has no spaces, line breaks or backslashes.")
    parts = _split(url)
    if parts.scheme not in ("https", "http"):
        raise ValueError("An address begins with https://.")
    if parts.scheme == "http" and not allow_private:
        raise ValueError("Use https://: keys and texts would travel readable for everybody on the way.")
    if "@" in parts.netloc:
        raise ValueError("An address contains no user name or password.")
    if "?" in url or "#" in url:
        raise ValueError("An address ends with its path: nothing after ? or #.")
    host = _host(parts)
    if not allow_private:
        _refuse_private(host)
    port = _port(parts)
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{f':{port}' if port else ''}{_path(parts.path)}"


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise ValueError("This is no address.") from error


def _host(parts: SplitResult) -> str:
    """The host in ASCII, or a literal address in its usual spelling, whatever the spelling was."""
    host = parts.hostname or ""
    if parts.netloc.startswith("["):
        return str(_ipv6(host))
    # Browsers and sockets read the ideographic full stops as dots.
    host = re.sub("[\u3002\uff0e\uff61]", ".", host).rstrip(".")
    if not host:
        raise ValueError("An address names a host.")
    try:
        ascii_host = idna.encode(host, uts46=True).decode() if not host.isascii() else host.lower()
    except idna.IDNAError as error:
        raise ValueError(f"{host} is no name of a host.") from error
    if _NUMBER.fullmatch(ascii_host.rsplit(".", 1)[-1]):
        return str(_ipv4(ascii_host))
    if len(ascii_host) > 253 or not all(_is_label(label) for label in ascii_host.split(".")):
        raise ValueError(f"{host} is no name of a host.")
    return ascii_host


def _ipv6(host: str) -> ipaddress.IPv6Address:
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError as error:
        raise ValueError(f"{host} is no IPv6 address.") from error
    if address.scope_id is not None:
        raise ValueError("An address names no network interface.")
    return address


def _ipv4(host: str) -> ipaddress.IPv4Address:
    """An IPv4 address as sockets read it: one to four numbers, decimal, octal (0…) or hexadecimal (0x…)."""
    try:
        numbers = [_number(part) for part in host.split(".")]
    except ValueError as error:
        raise ValueError(f"{host} is no IPv4 address.") from error
    *front, last = numbers
    if len(numbers) > 4 or any(number > 255 for number in front) or last >= 256 ** (4 - len(front)):
        raise ValueError(f"{host} is no IPv4 address.")
    value = sum(number << (8 * (3 - place)) for place, number in enumerate(front))
    return ipaddress.IPv4Address(value + last)


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    if text[:2].lower() == "0x":
        return int(text[2:] or "0", 16)
    return int(text, 8 if text.startswith("0") else 10)


def _is_label(label: str) -> bool:
    return re.fullmatch(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", label) is not None


def _refuse_private(host: str) -> None:
    if ":" in host or _NUMBER.fullmatch(host.rsplit(".", 1)[-1]):
        if not is_public(host):
            raise ValueError(f"{host} is no address of the public Internet.")
    elif "." not in host or any(host == name or host.endswith(f".{name}") for name in _LOCAL_NAMES):
        raise ValueError(f"{host} is a name of a private network.")


def _port(parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError as error:
        raise ValueError("A port is a number from 1 to 65535.") from error
    if port == 0 or port in _REFUSED_PORTS:
        raise ValueError(f"Nothing on port {port} speaks HTTP.")
    return None if port == (443 if parts.scheme == "https" else 80) else port


def _path(path: str) -> str:
    segments = path.split("/")
    if any(re.fullmatch(r"(\.|%2e){1,2}", segment, re.IGNORECASE) for segment in segments):
        raise ValueError("An address's path has no . or .. in it.")
    if not path.isascii():
        raise ValueError("Write what is no ASCII in the path as %-escapes.")
    return path.rstrip("/")
