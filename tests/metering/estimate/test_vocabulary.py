"""The vocabularies: the files are the right ones, counts are those of tiktoken, nothing loads by itself."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import tiktoken
import tiktoken_ext.openai_public as public
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.estimate import vocabulary as module
from metering.estimate.vocabulary import Vocabulary, VocabularyError, vocabulary

NAMES = ("cl100k_base", "o200k_base")


@pytest.fixture(scope="module", params=NAMES)
def pair(request: pytest.FixtureRequest) -> tuple[Vocabulary, tiktoken.Encoding]:
    """Ours, and tiktoken's own encoding made of the same ranks."""
    name = request.param
    ranks = module._read_ranks(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(public, "load_tiktoken_bpe", lambda *_, **__: ranks)
        parameters: dict[str, Any] = getattr(public, name)()
    return vocabulary(name), tiktoken.Encoding(**parameters)


def test_known_counts() -> None:
    assert vocabulary("cl100k_base").count("tiktoken is great!") == 6
    assert vocabulary("o200k_base").count("tiktoken is great!") == 6
    assert vocabulary("o200k_base").count("") == 0


def test_checksums_and_patterns_are_those_tiktoken_pins(pair: tuple[Vocabulary, tiktoken.Encoding]) -> None:
    ours, theirs = pair
    assert module._PATTERN[ours.name] == theirs._pat_str
    # What tiktoken passes to its download is the checksum we hold our file to.
    with pytest.MonkeyPatch.context() as patch:
        seen: list[str] = []
        patch.setattr(public, "load_tiktoken_bpe", lambda *_, expected_hash, **__: seen.append(expected_hash) or {})
        getattr(public, ours.name)()
    assert seen == [module._SHA256[ours.name]]


@given(st.text(max_size=400))
@settings(max_examples=150, deadline=None)
def test_counts_like_tiktoken(pair: tuple[Vocabulary, tiktoken.Encoding], text: str) -> None:
    ours, theirs = pair
    assert ours.count(text) == len(theirs.encode_ordinary(text))


def test_special_tokens_are_ordinary_text() -> None:
    assert vocabulary("o200k_base").count("<|endoftext|>") > 1


def test_lone_surrogates_count(pair: tuple[Vocabulary, tiktoken.Encoding]) -> None:
    ours, theirs = pair
    assert ours.count("\ud800 and \udfff") == len(theirs.encode_ordinary("\ud800 and \udfff"))


def test_long_texts_are_cut_where_no_token_spans(pair: tuple[Vocabulary, tiktoken.Encoding]) -> None:
    ours, theirs = pair
    text = "".join(
        f"Line {n}: the quick  brown fox's {n * 7919} tails,\n\tand émigré naïveté 漢字 (again).\n"
        for n in range(3_000)
    )
    assert len(text) > 5 * module._PIECE_CHARS
    assert ours.count(text) == len(theirs.encode_ordinary(text))


@pytest.mark.parametrize("character", [" ", "a", "\n", "漢", "!"])
def test_endless_runs_are_counted(character: str) -> None:
    for name in NAMES:
        assert 0 < vocabulary(name).count(character * 400_000) <= 1_200_000


def test_a_damaged_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module._SHA256, "cl100k_base", "0" * 64)
    with pytest.raises(VocabularyError, match="scripts/vocabularies"):
        Vocabulary("cl100k_base")


def test_the_committed_files_are_those_of_the_script() -> None:
    done = subprocess.run([sys.executable, "scripts/vocabularies", "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_loads_nothing() -> None:
    code = (
        "import metering.estimate.request as r, metering.estimate.vocabulary as v\n"
        "r.estimate_call('/v1/chat/completions', {'model': 'gpt-4o', 'messages': [{'content': 'hello'}]})\n"
        "assert v.loaded('o200k_base') is None"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
