"""What a request to the gateway says: its model, whom it is for, and what goes on to the upstream."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.datastructures import Headers

from core.errors import ApiError
from metering.gateway.calls import ENDPOINTS, Call, read_call

CHAT = ENDPOINTS["/v1/chat/completions"]


def read(body: Any, path: str = "/v1/chat/completions", **headers: str) -> Call:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_call(ENDPOINTS[path], Headers({name.replace("_", "-"): value for name, value in headers.items()}), data)


def test_a_body_goes_on_byte_for_byte() -> None:
    body = b'{ "model" : "gpt-4o",\n "messages":[], "temperature": 1.0,"x_unknown":"\\u00e9" }'
    assert read(body).body == body
    streamed = b'{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true}}'
    call = read(streamed)
    assert (call.body, call.is_streamed, call.strips_usage) == (streamed, True, False)


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_obfuscation": False}, "absent"])
def test_usage_of_a_stream_is_asked_for(options: Any) -> None:
    body = {"model": "gpt-4o", "stream": True, "messages": []}
    if options != "absent":
        body["stream_options"] = options
    call = read(body)
    sent = json.loads(call.body)
    assert call.strips_usage
    assert sent.pop("stream_options")["include_usage"] is True
    body.pop("stream_options", None)
    assert sent == body


def test_only_chats_and_completions_must_be_asked() -> None:
    for path in ("/v1/responses", "/v1/messages"):
        call = read({"model": "m", "stream": True}, path)
        assert (call.is_streamed, call.strips_usage) == (True, False)


def test_headers_say_whom_a_call_is_for() -> None:
    labels = read(
        {"model": "m", "user": "u_77", "metadata": {"feature": "body", "env": "prod", "chat_id": "c0"}},
        x_tokenledger_chat="c1",
        x_tokenledger_message="m1",
        x_tokenledger_feature="chat",
        x_tokenledger_tool="web_search",
        x_tokenledger_integration="slack",
        x_tokenledger_project="search",
        x_tokenledger_user="bob@acme.test",
        x_tokenledger_tags="team=core, tier = gold",
    ).labels
    assert (labels.chat, labels.message, labels.feature, labels.tool) == ("c1", "m1", "chat", "web_search")
    assert (labels.integration, labels.project, labels.user) == ("slack", "search", "bob@acme.test")
    assert labels.end_user == "u_77"
    assert labels.tags == {"env": "prod", "team": "core", "tier": "gold"}


def test_the_body_says_it_where_headers_do_not() -> None:
    labels = read({"model": "m", "metadata": {"user_id": "u1", "conversation_id": "c9", "odd": 7, "long": "x" * 999}})
    assert (labels.labels.end_user, labels.labels.chat, labels.labels.tags) == ("u1", "c9", None)
    assert read({"model": "m", "conversation": {"id": "conv_1"}}, "/v1/responses").labels.chat == "conv_1"
    assert read({"model": "m", "safety_identifier": "s", "user": "u"}).labels.end_user == "s"


def test_names_beyond_ascii_come_in_headers_as_clients_send_them() -> None:
    assert read({"model": "m"}, x_tokenledger_feature="Übersicht".encode().decode("latin-1")).labels.feature == (
        "Übersicht"
    )
    assert read({"model": "m"}, x_tokenledger_tags='{"größe":"XL"}'.encode().decode("latin-1")).labels.tags == {
        "größe": "XL"
    }


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_json"),
        (b"{", 400, "invalid_json"),
        (b"\xff\xfe", 400, "invalid_json"),
        (b"[]", 400, "invalid_body"),
        (b'"x"', 400, "invalid_body"),
        ({}, 400, "missing_field"),
        ({"model": 7}, 422, "invalid_parameter"),
        ({"model": ""}, 422, "invalid_parameter"),
        ({"model": "x" * 201}, 422, "invalid_parameter"),
        ({"model": "a\x00b"}, 422, "invalid_parameter"),
        ({"model": "m", "user": "x" * 201}, 422, "invalid_parameter"),
    ],
)
def test_bodies_that_no_ledger_could_hold(body: Any, status: int, code: str) -> None:
    with pytest.raises(ApiError) as refused:
        read(body)
    assert (refused.value.status, refused.value.code) == (status, code)


@pytest.mark.parametrize(
    "tags", ["novalue", "=x", "a=" + "x" * 201, '{"a": 1}', "{", ",".join(f"t{n}=1" for n in range(40))]
)
def test_tags_that_are_none(tags: str) -> None:
    with pytest.raises(ApiError) as refused:
        read({"model": "m"}, x_tokenledger_tags=tags)
    assert refused.value.code == "invalid_tag"


def form(*parts: tuple[str, bytes]) -> bytes:
    return b"".join(b"--cut\r\n" + f"Content-Disposition: form-data; {head}\r\n\r\n".encode() + data + b"\r\n"
                    for head, data in parts) + b"--cut--\r\n"  # fmt: skip


def test_a_transcription_is_a_form_with_a_file() -> None:
    body = form(('name="model"', b"whisper-1"), ('name="file"; filename="a b.mp3"', b"\x00\xff" * 500))
    call = read(body, "/v1/audio/transcriptions", content_type="multipart/form-data; boundary=cut")
    assert (call.model, call.body, call.content_type) == ("whisper-1", body, "multipart/form-data; boundary=cut")
    assert call.file == {"id": "a b.mp3", "name": "a b.mp3", "size_bytes": 1_000}


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        ("application/json", b"{}", "unsupported_type"),
        ("multipart/form-data", b"", "unsupported_type"),
        ("multipart/form-data; boundary=cut", b"no form at all", "invalid_form"),
        ("multipart/form-data; boundary=cut", form(('name="file"; filename="x"', b"1")), "missing_field"),
    ],
)
def test_forms_that_are_none(content_type: str, body: bytes, code: str) -> None:
    with pytest.raises(ApiError) as refused:
        read(body, "/v1/audio/transcriptions", content_type=content_type)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"cheap","messages":[],"model":"dear"}',
        b'{"model":"cheap","messages":[],"\\u006dodel":"dear"}',
        b'{"mode\\u006C" : "cheap","tools":[{"model":1}],"model"\n:"dear"}',
        b'{"model":"cheap","Model":"dear"}',
        b'{"MODEL":"dear"}',
        b'{"model":"cheap","Max_Tokens":100000}',
        b'{"model":"cheap","N":100}',
    ],
)
def test_a_body_that_servers_read_differently(body: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        read(body)
    assert (refused.value.status, refused.value.code) == (422, "ambiguous_field")


def test_the_word_may_stand_elsewhere() -> None:
    inner = {"model": "m", "tools": [{"model": "x"}, {"model": "y"}], "messages": [{"content": '"model": "\u00e9"'}]}
    assert read(inner).model == "m"
    assert read(b'{"a":{"model":"x"},"model":"m","b":{"model":"y","model":"z"}}').model == "m"


@pytest.mark.parametrize("names", [("model", "model"), ("model", "Model")])
def test_a_form_that_servers_read_differently(names: tuple[str, str]) -> None:
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\nm{at}\r\n' for at, name in enumerate(names)]
    with pytest.raises(ApiError) as refused:
        read("".join([*parts, "--b--\r\n"]).encode(), "/v1/audio/transcriptions",
             content_type="multipart/form-data; boundary=b")  # fmt: skip
    assert (refused.value.status, refused.value.code) == (422, "ambiguous_field")
