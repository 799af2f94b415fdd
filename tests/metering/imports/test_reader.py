"""Files as rows: formats, compression, encodings, and what is wrong with them."""

import gzip
import io

import pytest

from metering.imports.reader import LONGEST_LINE, FileError, Reader


def read(content: bytes | str, file_format: str | None = None) -> Reader:
    return Reader(io.BytesIO(content.encode() if isinstance(content, str) else content), file_format)


def rows(content: bytes | str, file_format: str | None = None):
    return list(read(content, file_format))


def test_csv_rows_are_numbered_as_a_spreadsheet_does() -> None:
    found = rows("model,tokens\ngpt-4o,1\n\ngpt-4,2\n")
    assert [(row.number, row.values) for row in found] == [
        (2, {"model": "gpt-4o", "tokens": "1"}),
        (4, {"model": "gpt-4", "tokens": "2"}),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_told_from_the_header(delimiter: str) -> None:
    (row,) = rows(f'a{delimiter}"b, c"\n1{delimiter}2\n')
    assert row.values == {"a": "1", "b, c": "2"}


def test_a_spreadsheets_hint_is_no_header() -> None:
    (row,) = rows("sep=;\nmodel;tokens\ngpt-4o;1\n")
    assert (row.number, row.values) == (3, {"model": "gpt-4o", "tokens": "1"})


def test_quoted_cells_hold_line_breaks_and_delimiters() -> None:
    (row,) = rows('a,b\n"x\ny","1,2"\n')
    assert row.values == {"a": "x\ny", "b": "1,2"}


def test_json_lines_keep_their_types() -> None:
    found = rows('{"model": "gpt-4o", "usage": {"prompt_tokens": 1}}\n\n{"model": "gpt-4"}')
    assert [(row.number, row.values) for row in found] == [
        (1, {"model": "gpt-4o", "usage": {"prompt_tokens": 1}}),
        (3, {"model": "gpt-4"}),
    ]


@pytest.mark.parametrize("content", ["a,b\n1,2\n", '{"a": "1", "b": "2"}\n'])
def test_gzip_is_told_from_the_content(content: str) -> None:
    assert [row.values for row in rows(gzip.compress(content.encode()))] == [{"a": "1", "b": "2"}]


def test_progress_counts_the_bytes_on_disk() -> None:
    packed = gzip.compress(b"a\n" + b"1\n" * 100_000)
    reader = read(packed)
    assert sum(1 for _ in reader) == 100_000
    assert reader.bytes_read == len(packed)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_are_understood(encoding: str) -> None:
    (row,) = rows("modèle,n\nmistral-größe,1\n".encode(encoding))
    assert row.values == {"modèle": "mistral-größe", "n": "1"}


def test_a_row_that_is_not_utf8_is_that_rows_problem() -> None:
    found = rows(b"model,n\ngr\xf6\xdfe,1\ngpt-4o,2\n")
    assert [row.problem.code if row.problem else None for row in found] == ["not_utf8", None]


def test_rows_of_another_width_are_refused() -> None:
    found = rows("a,b\n1\n1,2,3\n1,2\n")
    assert [row.problem.message if row.problem else None for row in found] == [
        "The row has 1 cells, the header 2.",
        "The row has 3 cells, the header 2.",
        None,
    ]


def test_an_unclosed_quote_does_not_swallow_the_file() -> None:
    content = 'a,b\n"open,1\n' + "x,2\n" * 60_000
    found = rows(content)
    assert found[0].problem is not None
    assert found[0].problem.code == "unreadable_row"
    assert found[-1].values == {"a": "x", "b": "2"}


def test_lines_that_are_no_objects_are_their_own_problem() -> None:
    found = rows('{"a": 1}\n[1]\n{"a": \nnull\n{"a": 2}\n')
    assert [row.problem.code if row.problem else row.values["a"] for row in found] == [
        1, "invalid_json", "invalid_json", "invalid_json", 2,
    ]  # fmt: skip


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    found = rows(b'{"a": "' + b"x" * (2 * LONGEST_LINE) + b'"}\n{"a": 1}\n')
    assert [row.problem.code if row.problem else row.values for row in found] == ["too_long", {"a": 1}]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b'[{"a": 1}]', "JSON array"),
        (b"1,2\n3,4\n", "name the columns"),
        (b"a,a\n1,2\n", "Two columns"),
        (b"\xff\xfe" + '{"a": 1}'.encode("utf-16-le"), "UTF-16"),
        (gzip.compress(b"a\n" + b"1\n" * 9_000, mtime=0)[:-9], "cut short"),
    ],
)
def test_files_that_cannot_be_read_say_what_to_do(content: bytes, words: str) -> None:
    with pytest.raises(FileError, match=words):
        rows(content, "jsonl" if b"\xff\xfe" in content else None)
