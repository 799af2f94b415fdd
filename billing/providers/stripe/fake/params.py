"""Parameters as Stripe takes them: forms whose names nest by brackets, strict about names they do not know."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from billing.providers.stripe.fake.errors import InvalidRequestError, without

_PART = re.compile(r"\[([^\]]*)\]")


def nested(form: str) -> dict[str, Any]:
    """`a[b]=1&c[0][d]=2&e[]=3` as {"a": {"b": "1"}, "c": [{"d": "2"}], "e": ["3"]}. Values stay texts."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(form, keep_blank_values=True):
        head, _, rest = name.partition("[")
        path = [head, *_PART.findall(f"[{rest}" if rest else "")]
        _place(found, path, value)
    return {name: _listed(value) for name, value in found.items()}


def _place(where: dict[str, Any], path: list[str], value: str) -> None:
    for part in path[:-1]:
        inner = where.setdefault(part or str(len(where)), {})
        if not isinstance(inner, dict):
            raise InvalidRequestError(f"Invalid parameters: {path[0]}", param=path[0])
        where = inner
    where[path[-1] or str(len(where))] = value


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(part) for name, part in value.items()}
    if inner and all(name.isdigit() for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner


class Params:
    """The parameters of one request. Every reader names what it takes; `close` refuses what nobody read."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given
        self._read: set[str] = {"expand"}

    def __contains__(self, name: str) -> bool:
        return bool(self._given.get(name))

    def text(self, name: str, default: str | None = None) -> str | None:
        value = self._take(name)
        if value is None or value == "":
            return default
        if not isinstance(value, str):
            raise InvalidRequestError(f"Invalid string: {name}", param=name)
        return value

    def required(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise without(name)
        return value

    def integer(self, name: str) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?\d{1,15}", value):
            raise InvalidRequestError(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
        return int(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.text(name)
        if value is None:
            return default
        if value not in ("true", "false"):
            raise InvalidRequestError(f"Invalid boolean: {value}", param=name)
        return value == "true"

    def choice(self, name: str, of: tuple[str, ...], default: str) -> str:
        value = self.text(name, default) or default
        if value not in of:
            raise InvalidRequestError(f"Invalid {name}: must be one of {', '.join(of)}", param=name)
        return value

    def currency(self, name: str = "currency", default: str | None = None) -> str:
        value = (self.text(name, default) or "").lower()
        if not value:
            raise without(name)
        if not re.fullmatch("[a-z]{3}", value):
            raise InvalidRequestError(f"Invalid currency: {value}", param=name)
        return value

    def inner(self, name: str) -> dict[str, Any]:
        value = self._take(name)
        if value in (None, ""):
            return {}
        if not isinstance(value, dict):
            raise InvalidRequestError(f"Invalid object: {name}", param=name)
        return value

    def items(self, name: str) -> list[Any]:
        value = self._take(name)
        if value in (None, ""):
            return []
        if not isinstance(value, list):
            raise InvalidRequestError(f"Invalid array: {name}", param=name)
        return value

    def skip(self, *names: str) -> None:
        """Taken and without effect here: what only matters where money is real."""
        self._read.update(names)

    def close(self) -> None:
        unknown = sorted(set(self._given) - self._read)
        if unknown:
            raise InvalidRequestError(
                f"Received unknown parameter: {unknown[0]}", code="parameter_unknown", param=unknown[0]
            )

    def _take(self, name: str) -> Any:
        self._read.add(name)
        return self._given.get(name)


def merged(metadata: dict[str, str], given: dict[str, Any]) -> dict[str, str]:
    """Metadata as updates change it: an empty value takes its key away."""
    both = metadata | {name: str(value) for name, value in given.items()}
    return {name: value for name, value in both.items() if value != ""}
