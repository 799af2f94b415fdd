"""Exact counting of texts and chats."""

from __future__ import annotations

from metering.estimate.count import Count, count_messages, count_text


def test_a_text() -> None:
    assert count_text("tiktoken is great!", "gpt-4o") == Count(6, "o200k_base", is_exact=True)
    assert count_text("tiktoken is great!", "gpt-4") == Count(6, "cl100k_base", is_exact=True)
    assert count_text("tiktoken is great!", "claude-sonnet-4-5") == Count(
        7, "o200k_base × 1.14 (claude)", is_exact=False
    )


def test_a_chat_of_openai_is_framed_as_its_cookbook_says() -> None:
    # The cookbook's example messages; OpenAI's API counted 124 for gpt-4o and 129 for gpt-4.
    said = [
        ("", "You are a helpful, pattern-following assistant that translates corporate jargon into plain English."),
        ("example_user", "New synergies will help drive top-line growth."),
        ("example_assistant", "Things working well together will increase revenue."),
        (
            "example_user",
            "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
        ),
        ("example_assistant", "Let's talk later when we're less busy about how to do better."),
        ("", "This late pivot means we don't have time to boil the ocean for the client deliverable."),
    ]
    messages = [{"role": "user", "content": text} | ({"name": name} if name else {}) for name, text in said]
    assert count_messages(messages, "gpt-4o") == Count(124, "o200k_base", is_exact=True)
    assert count_messages(messages, "gpt-4-0613") == Count(129, "cl100k_base", is_exact=True)


def test_what_is_no_text_makes_a_chat_inexact() -> None:
    chat = [{"role": "user", "content": "Paris?"}]
    plain = count_messages(chat, "gpt-4o")
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    with_tool = count_messages(chat, "gpt-4o", tools=[tool])
    assert plain.is_exact
    assert not with_tool.is_exact
    assert with_tool.tokens > plain.tokens
    assert not count_messages(chat, "gpt-5").is_exact


def test_system_of_anthropic_counts() -> None:
    chat = [{"role": "user", "content": [{"type": "text", "text": "Paris?"}]}]
    bare = count_messages(chat, "claude-sonnet-4-5")
    assert count_messages(chat, "claude-sonnet-4-5", system="Be brief.").tokens > bare.tokens
    assert (
        count_messages(chat, "claude-sonnet-4-5", system=[{"type": "text", "text": "Be brief."}]).tokens > bare.tokens
    )
