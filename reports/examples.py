"""What can be copied from the Connect page: each way to send usage, filled with an installation's address and a key."""

from __future__ import annotations

import msgspec
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.models import Scope

# What stands for the part of a key that is shown only once. ASCII, so that a forgotten one is refused as a wrong key.
REST_OF_KEY = "..."


class Snippet(msgspec.Struct, frozen=True):
    """A text to copy. `own` are the parts that are the viewer's: the lines with one of them are marked."""

    name: str
    title: str
    code: str
    own: tuple[str, ...]

    @property
    def html(self) -> SafeString:
        lines = self.code.split("\n")
        return format_html_join("\n", "{}", ((self._line(line),) for line in lines))

    def _line(self, line: str) -> str:
        if not any(part in line for part in self.own):
            return line
        text = line.lstrip()
        return format_html("{}<mark>{}</mark>", line[: len(line) - len(text)], text)


class Way(msgspec.Struct, frozen=True):
    """A way to connect. `scopes` are what its key must be allowed to do."""

    name: str
    label: str
    lead: str
    scopes: tuple[Scope, ...]
    codes: tuple[tuple[str, str], ...]

    def snippets(self, base_url: str, key: str) -> list[Snippet]:
        return [
            Snippet(f"{self.name}-{number}", title, fill(code, base_url, key), (base_url, key))
            for number, (title, code) in enumerate(self.codes, start=1)
        ]


def fill(code: str, base_url: str, key: str) -> str:
    return code.replace("{address}", base_url).replace("{key}", key)


CURL_EVENT = """\
curl {address}/v1/events \\
  -H "Authorization: Bearer {key}" \\
  -H "Content-Type: application/json" -d '{
  "id": "first-1", "model": "gpt-4o", "provider": "openai",
  "usage": {"prompt_tokens": 25, "completion_tokens": 100, "total_tokens": 125}
}'"""

_CURL_GATEWAY = """\
curl {address}/v1/chat/completions \\
  -H "Authorization: Bearer {key}" \\
  -H "Content-Type: application/json" -d '{
  "model": "gpt-4o-mini",
  "messages": [{"role": "user", "content": "Hello!"}]
}'"""

_OPENAI = """\
from openai import OpenAI

client = OpenAI(
    base_url="{address}/v1",
    api_key="{key}",
)
answer = client.chat.completions.create(
    model="gpt-4o-mini",
    messages=[{"role": "user", "content": "Hello!"}],
)
print(answer.usage)"""

_ANTHROPIC = """\
from anthropic import Anthropic

client = Anthropic(
    base_url="{address}",
    api_key="{key}",
)
answer = client.messages.create(
    model="claude-haiku-4-5",
    max_tokens=100,
    messages=[{"role": "user", "content": "Hello!"}],
)
print(answer.usage)"""

_JAVASCRIPT_GATEWAY = """\
import OpenAI from "openai";

const client = new OpenAI({
  baseURL: "{address}/v1",
  apiKey: "{key}",
});
const answer = await client.chat.completions.create({
  model: "gpt-4o-mini",
  messages: [{ role: "user", content: "Hello!" }],
});
console.log(answer.usage);"""

_JAVASCRIPT_EVENT = """\
const response = await fetch("{address}/v1/events", {
  method: "POST",
  headers: {
    "Authorization": "Bearer {key}",
    "Content-Type": "application/json",
  },
  body: JSON.stringify({
    id: crypto.randomUUID(), // the provider's id of its answer, where there is one
    model: "gpt-4o",
    provider: "openai",
    usage: { prompt_tokens: 25, completion_tokens: 100, total_tokens: 125 },
  }),
});
console.log(await response.json());"""

_CLIENT_TRACK = """\
from tokenledger import Client

with Client(
    base_url="{address}",
    api_key="{key}",
) as ledger:
    ledger.track(
        model="gpt-4o",
        provider="openai",
        usage={"prompt_tokens": 25, "completion_tokens": 100, "total_tokens": 125},
        user="alice@example.com",
    )"""

_CLIENT_WRAP = """\
from openai import OpenAI
from tokenledger import Client

ledger = Client(
    base_url="{address}",
    api_key="{key}",
)
client = ledger.wrap(OpenAI())  # calls OpenAI itself, and tells the ledger
answer = client.chat.completions.create(
    model="gpt-4o-mini",
    messages=[{"role": "user", "content": "Hello!"}],
)"""

_OPENTELEMETRY = """\
export OTEL_EXPORTER_OTLP_TRACES_ENDPOINT={address}/v1/traces
export OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf
export OTEL_EXPORTER_OTLP_TRACES_HEADERS="Authorization=Bearer%20{key}\""""

_LITELLM_CONFIG = """\
litellm_settings:
  callbacks: ["tokenledger"]

callback_settings:
  tokenledger:
    callback_type: generic_api
    endpoint: {address}/v1/litellm
    headers:
      Authorization: os.environ/TOKENLEDGER_AUTHORIZATION
    max_retries: 5"""

# LiteLLM forgets what it logs while a batch is under way; batches of one have nothing to forget.
_LITELLM_START = """\
export TOKENLEDGER_AUTHORIZATION="Bearer {key}"
export DEFAULT_BATCH_SIZE=1
litellm --config config.yaml"""

_LITELLM_SDK = """\
export GENERIC_LOGGER_ENDPOINT={address}/v1/litellm
export GENERIC_LOGGER_HEADERS="Authorization=Bearer {key}"
export DEFAULT_BATCH_SIZE=1"""

WAYS: tuple[Way, ...] = (
    Way(
        "openai",
        "OpenAI SDK",
        "Keep your client; only the address and the key change. Answers pass through unchanged.",
        (Scope.GATEWAY,),
        (("Python", _OPENAI),),
    ),
    Way(
        "anthropic",
        "Anthropic SDK",
        "Keep your client; only the address and the key change. Its address ends without /v1.",
        (Scope.GATEWAY,),
        (("Python", _ANTHROPIC),),
    ),
    Way(
        "javascript",
        "JavaScript",
        "Through the gateway with the OpenAI SDK, or any runtime with fetch to post what was used.",
        (Scope.GATEWAY, Scope.USAGE_WRITE),
        (("OpenAI SDK", _JAVASCRIPT_GATEWAY), ("Post an event", _JAVASCRIPT_EVENT)),
    ),
    Way(
        "curl",
        "curl",
        "Post what happened already; the usage object may be the provider’s own. Or ask through the gateway.",
        (Scope.GATEWAY, Scope.USAGE_WRITE),
        (("Post an event", CURL_EVENT), ("Ask through the gateway", _CURL_GATEWAY)),
    ),
    Way(
        "client",
        "Python client",
        "Sends in the background, in batches, with retries. Install it from clients/python of this product’s source.",
        (Scope.USAGE_WRITE,),
        (("Track a call", _CLIENT_TRACK), ("Track every call of a client", _CLIENT_WRAP)),
    ),
    Way(
        "opentelemetry",
        "OpenTelemetry",
        "GenAI spans become events. Other spans are accepted and ignored.",
        (Scope.USAGE_WRITE,),
        (("Environment of an instrumented program", _OPENTELEMETRY),),
    ),
    Way(
        "litellm",
        "LiteLLM",
        "LiteLLM reports each call after it was made. Messages and answers are not read.",
        (Scope.USAGE_WRITE,),
        (
            ("config.yaml of the proxy", _LITELLM_CONFIG),
            ("Start it", _LITELLM_START),
            ("Without the proxy, where litellm.callbacks has generic_api", _LITELLM_SDK),
        ),
    ),
)
_BY_NAME = {way.name: way for way in WAYS}


def way_called(name: str) -> Way:
    """The way of that name, the first for a name that is none."""
    return _BY_NAME.get(name, WAYS[0])
