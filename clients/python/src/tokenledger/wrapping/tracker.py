"""What all tracked calls of one provider client share."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional
from urllib.parse import urlsplit

from tokenledger.dimensions import check, merge
from tokenledger.wrapping.calls import Call, Harmless
from tokenledger.wrapping.told import Told

if TYPE_CHECKING:
    from tokenledger.client import Client

logger = logging.getLogger("tokenledger")

# Whose prices hold, by the end of a host's name. Unknown hosts are left to the server, which goes by model and shape.
_PROVIDERS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure",
    "api.anthropic.com": "anthropic",
    "api.deepseek.com": "deepseek",
    "api.fireworks.ai": "fireworks",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.perplexity.ai": "perplexity",
    "api.together.xyz": "together",
    "api.x.ai": "xai",
    "generativelanguage.googleapis.com": "google",
    "openrouter.ai": "openrouter",
}
_HEADER_NAMES = ("chat", "message", "feature", "tool", "integration", "project", "user")


class Tracker:
    def __init__(
        self,
        client: Client,
        provider_client: Any,
        provider: Optional[str],
        dimensions: Mapping[str, Any],
        *,
        asks_for_usage: bool,
    ) -> None:
        self._client = client
        self._dimensions = dimensions
        self._asks_for_usage = asks_for_usage
        address = urlsplit(str(getattr(provider_client, "base_url", "")))
        own = urlsplit(client.base_url)
        self._provider = provider or _provider_of(address.hostname or "")
        # The gateway meters what goes through it, and is told the dimensions in headers.
        self.is_gateway = (address.hostname, _port(address)) == (own.hostname, _port(own))

    def begin(self, told: Told, arguments: Mapping[str, Any], given: Any, *, is_streamed: bool) -> Call:
        fields = self._labels(given)
        if self._provider:
            fields["provider"] = self._provider
        hides_usage = is_streamed and self._is_to_ask(told, arguments)
        return Call(
            self._client.report, told, arguments.get("model"), fields, is_streamed=is_streamed, hides_usage=hides_usage
        )

    def with_usage_asked_for(self, told: Told, arguments: dict[str, Any], *, is_streamed: bool) -> dict[str, Any]:
        """The arguments of a streaming call, such that its last chunk tells the usage."""
        if not (is_streamed and self._is_to_ask(told, arguments)):
            return arguments
        options = arguments.get("stream_options")
        given = options if isinstance(options, Mapping) else {}
        return {**arguments, "stream_options": {**given, "include_usage": True}}

    def with_headers(self, arguments: dict[str, Any], given: Any) -> dict[str, Any]:
        """The arguments of a call through the gateway, with its dimensions as headers."""
        labels = self._labels(given)
        said = {name: labels[name] for name in _HEADER_NAMES if name in labels}
        for name in ("chat", "message"):
            if name in said:
                said[name] = said[name].get("id")
        if "tags" in labels:
            tags = {k: v if isinstance(v, str) else json.dumps(v) for k, v in labels["tags"].items()}
            said["tags"] = json.dumps(tags)
        headers = {f"X-Tokenledger-{name.title()}": str(value) for name, value in said.items() if value is not None}
        unsendable = [name for name, value in headers.items() if not (value.isascii() and value.isprintable())]
        if unsendable:
            logger.warning("not sent, as a header holds printable ASCII only: %s", ", ".join(unsendable))
        sendable = {name: value for name, value in headers.items() if name not in unsendable}
        if not sendable:
            return arguments
        own = arguments.get("extra_headers")
        return {**arguments, "extra_headers": {**sendable, **(own if isinstance(own, Mapping) else {})}}

    def _labels(self, given: Any) -> dict[str, Any]:
        """Fixed, then of the surrounding block, then of the call; what cannot be understood is left out and logged."""
        context = self._client.dimensions
        with Harmless():
            check(given or {})
            return merge(self._dimensions, context, given or {})
        return merge(self._dimensions, context)

    def _is_to_ask(self, told: Told, arguments: Mapping[str, Any]) -> bool:
        options = arguments.get("stream_options")
        has_asked = isinstance(options, Mapping) and options.get("include_usage") is True
        return told.needs_asking and self._asks_for_usage and not has_asked


def _provider_of(host: str) -> Optional[str]:
    return next((name for end, name in _PROVIDERS.items() if host == end or host.endswith(f".{end}")), None)


def _port(address: Any) -> Optional[int]:
    return address.port or {"http": 80, "https": 443}.get(address.scheme)
