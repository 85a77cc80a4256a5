"""Prompt files."""

import pytest

from hicache_batch.errors import Refusal
from hicache_batch.rows import Row, read_rows


@pytest.fixture
def read(tmp_path):
    def rows(name, content):
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_rows(file)

    return rows


def columns(rows):
    return [dict(row.columns) for row in rows]


def test_a_line_of_text_is_a_prompt(read):
    rows = read("p.txt", "a cat\n\n  a dog, {not a column}  \r\nan owl\u2028 at night")
    assert rows == [
        Row(0, {"prompt": "a cat"}),
        Row(1, {"prompt": "a dog, {not a column}"}),
        Row(2, {"prompt": "an owl\u2028 at night"}),
    ]


def test_a_table_names_its_columns(read):
    rows = read("p.csv", '\ufeffprompt, KSampler.steps\n"a cat, with\na line",20\n\na dog,\n')
    assert columns(rows) == [
        {"prompt": "a cat, with\na line", "KSampler.steps": "20"},
        {"prompt": "a dog", "KSampler.steps": ""},
    ]
    assert [row.index for row in rows] == [0, 1]


def test_a_cell_goes_on_at_rarer_ends_of_lines(read):
    odd = "an owl\u2028 at\x0b night\x85"
    assert columns(read("p.csv", f"prompt,x\r\n{odd},1\r\na cat,2")) == [
        {"prompt": odd, "x": "1"},
        {"prompt": "a cat", "x": "2"},
    ]


def test_an_object_a_line(read):
    rows = read("p.jsonl", '{"prompt": "a cat", "3.seed": 18446744073709551615, "x": null}\n\n"a dog"\n')
    assert columns(rows) == [{"prompt": "a cat", "3.seed": 2**64 - 1}, {"prompt": "a dog"}]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("p.docx", "x", r"The prompt file is .*p\.docx: choose a \.txt, \.csv or \.jsonl"),
        ("p.txt", b"caf\xe9", "is not UTF-8 at byte 3: save it as UTF-8"),
        ("p.txt", "\n \n", "has no prompts: write one a line"),
        ("p.csv", "prompt\n", "has no prompts"),
        ("p.csv", "", "has no prompts"),
        ("p.csv", "prompt,prompt\na,b\n", "Column 'prompt' of .* is there twice"),
        ("p.csv", "prompt,\na,b\n", "Column '' of .* has no name"),
        ("p.csv", "prompt,row\na,b\n", "Column 'row' of .* is the row's own number"),
        ("p.csv", "prompt,x\na,b\na,b,c\n", r"line 3 has 3 cells: its first line has 2"),
        ("p.csv", 'prompt\n"open\n', "line 2 is no CSV"),
        ("p.jsonl", '{"a": 1}\n{"a": ', r"line 2 is no JSON .*: write one object a line"),
        ("p.jsonl", "[1]\n", r"line 1 is \[1\]: write an object"),
        ("p.jsonl", '{"a": [1, 2]}\n', r"line 1: 'a' is \[1, 2\]: use a text, a number"),
        ("p.jsonl", '{"a": NaN}\n', "NaN is not a number"),
        ("p.jsonl", '{"row": 3}\n', "'row' is 3"),
        pytest.param("p.jsonl", "[" * 100_000, "is no JSON", id="deep"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(read, name, content, sentence):
    with pytest.raises(Refusal, match=sentence):
        read(name, content)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(Refusal, match=r"Cannot read the prompt file .*none\.txt \(No such file or directory\)"):
        read_rows(tmp_path / "none.txt")
