"""What a model gets to read of a request, of whichever API: its texts, and what is no text as a number of tokens.

Takes any JSON: what is not of the expected form is left out or read as text, never refused, because the provider is
the one to refuse it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from metering.estimate.media import LONGEST_HEADER, audio_tokens, image_tokens, pdf_tokens, picture_size, video_tokens
from metering.estimate.tokenizers import Tokenizer

# Of parts nobody has described here: what these hold is no text.
_OPAQUE = frozenset(
    {"type", "id", "call_id", "tool_use_id", "data", "file_data", "b64_json", "signature", "encrypted_content"}
    | {"cache_control", "status", "index", "thoughtSignature", "thought_signature"}
)
_LONGEST_URL_HEAD = 200
_LONGEST_WORD = 500


class Contents(msgspec.Struct):
    """`texts` are to be counted, `tokens` is what the rest counts as, `messages` frame the texts of a chat.

    `definitions` are the JSON of tools and answer formats. `is_plain` says that there is nothing but texts, so that
    the count may be exact.
    """

    texts: list[str]
    definitions: list[str]
    tokens: int = 0
    messages: int = 0
    has_tools: bool = False
    is_plain: bool = True


class Reading:
    """Reads one request for one model; `contents` is what it found."""

    __slots__ = ("contents", "model", "tokenizer")

    def __init__(self, model: str, tokenizer: Tokenizer) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.contents = Contents([], [])

    # ── What requests are made of ──

    def message(self, message: Any) -> None:
        """One turn of a chat, or one item of a Responses input."""
        self.contents.messages += 1
        if not isinstance(message, dict) or ("content" not in message and isinstance(message.get("type"), str)):
            self.parts(message)
            return
        content = message.get("content")
        if type(content) is str:
            self.contents.texts.append(content)
        else:
            self.parts(content)
        if isinstance(name := message.get("name"), str):
            self.contents.texts.append(name)
            self.contents.tokens += 1
        for field in ("tool_calls", "function_call"):
            if message.get(field):
                self._calls(message[field])

    def _calls(self, calls: Any) -> None:
        """What OpenAI's assistants called, as they are told of it again."""
        self.contents.is_plain = False
        for call in calls if isinstance(calls, list) else [calls]:
            function = call.get("function", call) if isinstance(call, dict) else call
            if isinstance(function, dict):
                self.parts([function.get("name"), function.get("arguments")])

    def messages(self, messages: Any) -> None:
        for message in messages if isinstance(messages, list) else [messages]:
            if message is not None:
                self.message(message)

    def system(self, system: Any) -> None:
        """Instructions that stand beside the messages."""
        if system:
            self.contents.messages += 1
            self.parts(system)

    def tools(self, tools: Any) -> None:
        if tools:
            self.contents.has_tools = True
            self.define(tools)

    def define(self, value: Any) -> None:
        """Structure that is given to the model once: tools, the schema of its answer."""
        self.contents.is_plain = False
        self._json(value, self.contents.definitions)

    def _json(self, value: Any, texts: list[str]) -> None:
        try:
            texts.append(msgspec.json.encode(value).decode())
        except (ValueError, TypeError, OverflowError, RecursionError):
            self._walk([value])

    def prompts(self, prompts: Any) -> int:
        """Bare prompts: a text, a list of texts, tokens, or a list of lists of tokens. Returns how many there are."""
        if not isinstance(prompts, list):
            self.parts(prompts)
            return 1
        if prompts and isinstance(prompts[0], int):
            self.contents.tokens += len(prompts)
            return 1
        for prompt in prompts:
            if isinstance(prompt, list):
                self.contents.tokens += len(prompt)
            else:
                self.parts(prompt)
        return max(len(prompts), 1)

    def parts(self, content: Any) -> None:
        """The content of a message: a text, or parts of any kind."""
        if type(content) is str:
            self.contents.texts.append(content)
        else:
            self._walk([content])

    # ── Parts ──

    def _walk(self, waiting: list[Any]) -> None:
        """Not recursive: a request may be nested as deeply as its sender likes."""
        while waiting:
            part = waiting.pop()
            if isinstance(part, str):
                self.contents.texts.append(part)
            elif isinstance(part, list):
                waiting.extend(part)
            elif isinstance(part, dict):
                kind = part.get("type")
                take = _KINDS.get(kind) if isinstance(kind, str) else None
                if take is not _take_text:
                    self.contents.is_plain = False
                waiting.extend((take or _take_unknown)(self, part))
            elif isinstance(part, int | float) and not isinstance(part, bool):
                self.contents.tokens += 1
                self.contents.is_plain = False

    def blob(self, url: Any, detail: Any = None, media_type: str = "") -> None:
        """A picture, recording or document: an address, a data URL or bare base64 with its type."""
        contents = self.contents
        contents.is_plain = False
        family = self.tokenizer.family
        start = length = 0
        if isinstance(url, str):
            head, comma, _ = url[:_LONGEST_URL_HEAD].partition(",")
            if head.startswith("data:") and comma:
                media_type = head[5:].partition(";")[0]
                start = len(head) + 1
            if start or media_type:
                length = len(url) - start
        if "pdf" in media_type:
            contents.tokens += pdf_tokens(family, length)
        elif media_type.startswith("audio/"):
            contents.tokens += audio_tokens(length, media_type[6:])
        elif media_type.startswith("video/"):
            contents.tokens += video_tokens(length)
        elif media_type.startswith("text/"):
            # Four characters are three bytes of the text, about a token.
            contents.tokens += length // 4
        else:
            size = picture_size(url[start : start + LONGEST_HEADER]) if length else None
            contents.tokens += image_tokens(self.model, family, size, detail if isinstance(detail, str) else "auto")


def _take_text(_: Reading, part: Mapping[str, Any]) -> Iterable[Any]:
    return (part.get("text"),)


def _take_image_url(reading: Reading, part: Mapping[str, Any]) -> Iterable[Any]:
    image = part.get("image_url")
    if isinstance(image, dict):
        reading.blob(image.get("url"), image.get("detail"))
    else:
        reading.blob(image, part.get("detail"))
    return ()


def _take_source(reading: Reading, part: Mapping[str, Any]) -> Iterable[Any]:
    """Anthropic's images and documents."""
    source = part.get("source")
    titles = (part.get("title"), part.get("context"))
    if not isinstance(source, dict):
        return titles
    if source.get("type") in ("text", "content"):
        return (*titles, source.get("data"), source.get("content"))
    media_type = source.get("media_type")
    kind = "application/pdf" if part.get("type") == "document" else "image/unknown"
    reading.blob(source.get("data"), media_type=media_type if isinstance(media_type, str) else kind)
    return titles


def _take_file(reading: Reading, part: Mapping[str, Any]) -> Iterable[Any]:
    """OpenAI's files, inside of a message or named by an id."""
    inner = part.get("file")
    file = inner if isinstance(inner, dict) else part
    reading.blob(file.get("file_data"), media_type="application/pdf")
    return ()


def _take_audio(reading: Reading, part: Mapping[str, Any]) -> Iterable[Any]:
    audio = part.get("input_audio")
    if isinstance(audio, dict):
        reading.blob(audio.get("data"), media_type=f"audio/{audio.get('format')}")
    return ()


def _take_call(reading: Reading, part: Mapping[str, Any]) -> Iterable[Any]:
    arguments = part.get("input", part.get("arguments"))
    if isinstance(arguments, str):
        return (part.get("name"), arguments)
    if arguments:
        reading._json(arguments, reading.contents.texts)  # noqa: SLF001  the functions below are its own
    return (part.get("name"),)


def _take_result(_: Reading, part: Mapping[str, Any]) -> Iterable[Any]:
    return (part.get("content"), part.get("output"))


def _take_thinking(_: Reading, part: Mapping[str, Any]) -> Iterable[Any]:
    return (part.get("thinking"), part.get("summary"))


def _take_unknown(reading: Reading, part: Mapping[str, Any]) -> Iterable[Any]:
    for key, value in part.items():
        if key in _OPAQUE:
            continue
        if isinstance(value, str) and _is_encoded(value):
            reading.blob(value)
            continue
        yield key
        yield value


def _is_encoded(text: str) -> bool:
    """Whether it looks like base64 rather than like a text."""
    if text.startswith("data:") and ";base64," in text[:_LONGEST_URL_HEAD]:
        return True
    return len(text) > _LONGEST_WORD and text.isascii() and " " not in text[:_LONGEST_WORD]


_KINDS: dict[str, Callable[[Reading, Mapping[str, Any]], Iterable[Any]]] = {
    **dict.fromkeys(("text", "input_text", "output_text", "summary_text"), _take_text),
    **dict.fromkeys(("image_url", "input_image"), _take_image_url),
    **dict.fromkeys(("image", "document"), _take_source),
    **dict.fromkeys(("file", "input_file"), _take_file),
    "input_audio": _take_audio,
    **dict.fromkeys(("tool_use", "server_tool_use", "mcp_tool_use", "function_call", "custom_tool_call"), _take_call),
    **dict.fromkeys(("tool_result", "function_call_output", "custom_tool_call_output"), _take_result),
    **dict.fromkeys(("thinking", "redacted_thinking", "reasoning"), _take_thinking),
}
