"""Files cut into numbered rows: every container, and nothing lost where one is broken."""

import gzip
import json
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.errors import InputError
from workbench.formats import containers
from workbench.formats.containers import Line, rows


def read(tmp_path: Path, data: bytes, name: str = "rows.jsonl") -> list[Line]:
    path = tmp_path / "file"
    path.write_bytes(data)
    return list(rows(path, name))


def told(lines: list[Line]) -> list:
    return [line.row if line.row is not None else line.reject.reason for line in lines]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        (b'{"a": 1}\n{"a": 2}', [{"a": 1}, {"a": 2}]),
        (b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}\r\n', [{"a": 1}, {"a": 2}]),
        (b'{"a": 1}\n\n{"a": 2}\n\n', [{"a": 1}, "blank_line", {"a": 2}, "blank_line"]),
        ('{"a": "x\u2028y\u0085z"}\n'.encode(), [{"a": "x\u2028y\u0085z"}]),
        (b'{"a": 1}\n{"a":\n{"a": 3}\n', [{"a": 1}, "bad_json", {"a": 3}]),
        (b'{"a": 1}\r{"a": 2}\n', ["bad_json"]),
        (b"", []),
    ],
)
@pytest.mark.rule("S33")
def test_lines(tmp_path, data, expected):
    lines = read(tmp_path, data)
    assert told(lines) == expected
    assert [line.number for line in lines] == list(range(1, len(expected) + 1))


@pytest.mark.rule("R20")
def test_a_line_of_100_mb_is_one_reject_in_little_memory(tmp_path):
    path = tmp_path / "long.jsonl"
    with path.open("wb") as out:
        out.write(b'{"a": 1}\n{"a": "')
        for _ in range(100):
            out.write(b"x" * 2**20)
        out.write(b'"}\n{"a": 3}\n')
    tracemalloc.start()
    assert told(list(rows(path, path.name))) == [{"a": 1}, "line_too_long", {"a": 3}]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * 2**20


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'[{"a": "]}\\",{"}, {"a": [1, {"b": 2}]}]', [{"a": ']}",{'}, {"a": [1, {"b": 2}]}]),
        (b"  [\n ]\n", []),
        (b'[{"a": 1}, 2, {"a": NaN}, {"a": 1, "a": 2}]', [{"a": 1}, "not_an_object", "nan_or_inf", "duplicate_key"]),
        ('\ufeff[{"a": "é"}]'.encode(), [{"a": "é"}]),
        (b'[{"a": "\xff"}, {"a": 2}]', ["bad_utf8", {"a": 2}]),
    ],
)
def test_arrays(tmp_path, data, expected):
    assert told(read(tmp_path, data, "rows.json")) == expected


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b'[{"a": 1},\n {"a": }]', "line 2, column 8"),
        (b'[{"a": 1}\n {"a": 2}]', "line 2, column 2"),
        (b'[{"a": 1},]', "line 1, column 11"),
        (b'[{"a": 1}', "line 1, column 10"),
        (b'[{"a": 1}] x', "line 1, column 11"),
        (b'[{"a": 1}}', "line 1, column 10"),
        (b'[{"a": "x]', "line 1, column 8"),
        (b'{\n"a": 1\n"b": 2}', "line 3, column 1"),
    ],
)
def test_a_syntax_error_refuses_the_file_and_says_where(tmp_path, data, place):
    with pytest.raises(InputError, match=place):
        read(tmp_path, data, "rows.json")


def test_content_decides_and_the_name_hints(tmp_path):
    assert told(read(tmp_path, b'{\n "a": 1\n}', "one.json")) == [{"a": 1}]
    assert told(read(tmp_path, b'{"a": 1}\n{"a": 2}\n', "rows.json")) == [{"a": 1}, {"a": 2}]
    assert told(read(tmp_path, b'[{"a": 1}]', "rows.jsonl")) == [{"a": 1}]
    assert told(read(tmp_path, b'[1]\n{"a": 2}\n', "rows.jsonl")) == ["not_an_object", {"a": 2}]
    assert told(read(tmp_path, b'{"a": 1}\n', "rows.csv")) == [{"a": 1}]
    with pytest.raises(InputError, match="UTF-16"):
        read(tmp_path, '{"a": 1}'.encode("utf-16"))
    with pytest.raises(InputError, match="archives"):
        read(tmp_path, b"PK\x03\x04....")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables(tmp_path, delimiter):
    data = (
        'p,q\r\n"a, ""b""\nc",é\r\n,2\r\n'.replace(",", delimiter, 1)
        .replace(",é", f"{delimiter}é")
        .replace("\n,2", f"\n{delimiter}2")
    )
    lines = read(tmp_path, data.encode(), "rows.csv")
    assert told(lines) == [{"p": 'a, "b"\nc', "q": "é"}, {"p": "", "q": "2"}]
    assert [line.number for line in lines] == [2, 4]
    assert all(line.cells for line in lines)


def test_a_bad_row_of_a_table_costs_only_itself(tmp_path):
    data = b'p,q\na,b\n"open,x\nc,d\ne\nf,g,h\n"x"y,z\n\n\xff,q\ni,j\n'
    assert told(read(tmp_path, data, "rows.csv")) == [
        *({"p": "a", "q": "b"}, "bad_csv"),
        *({"p": "c", "q": "d"}, "csv_cells", "csv_cells"),
        *("bad_csv", "blank_line", "bad_utf8", {"p": "i", "q": "j"}),
    ]


@pytest.mark.parametrize("header", [b"p,p\n1,2\n", b"p,\n1,2\n", b"\n1\n", b"\xff\n"])
def test_a_table_needs_a_header(tmp_path, header):
    with pytest.raises(InputError, match="first line"):
        read(tmp_path, header, "rows.csv")


def test_an_endless_open_quote_ends_at_a_megabyte(tmp_path):
    data = b'p\n"' + (b"x" * 99 + b"\n") * 11_000
    lines = read(tmp_path, data, "rows.csv")
    assert lines[0].reject.reason == "bad_csv"
    assert len(lines) == 11_000


@pytest.mark.rule("S30")
def test_packed_files_stop_at_a_ratio(tmp_path):
    good = b"".join(json.dumps({"a": i}).encode() + b"\n" for i in range(100))
    assert len(read(tmp_path, gzip.compress(good), "rows.jsonl.gz")) == 100
    zst = pa.compress(good, codec="zstd", asbytes=True)
    assert len(read(tmp_path, zst, "rows.jsonl.zst")) == 100
    with pytest.raises(InputError, match="unpacks to more than"):
        read(tmp_path, gzip.compress(b"\0" * 50_000_000), "zeros.jsonl.gz")
    with pytest.raises(InputError, match="damaged"):
        read(tmp_path, gzip.compress(good)[:-20], "rows.jsonl.gz")


def test_parquet(tmp_path):
    table = pa.table(
        {
            "prompt": ["a", None, "c\0"],
            "turns": [[{"role": "user", "content": "x", "name": None}], [], None],
            "score": [1.0, float("nan"), 2.0],
            "when": pa.array([1, 2, 3], pa.timestamp("s")),
        }
    )
    pq.write_table(table, tmp_path / "file")
    assert told(list(rows(tmp_path / "file", "x.parquet"))) == [
        {"prompt": "a", "turns": [{"role": "user", "content": "x", "name": None}], "score": 1.0},
        {"prompt": None, "turns": [], "score": None},
        "nul_char",
    ]
    with pa.OSFile(str(tmp_path / "file"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    assert len(list(rows(tmp_path / "file", "x.arrow"))) == 3


def test_bad_parquet_is_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="Parquet"):
        read(tmp_path, b"PAR1 and then nothing", "x.parquet")
    monkeypatch.setattr(containers, "LINE_BYTES", 1000)
    pq.write_table(pa.table({"a": ["x" * 100_000]}), tmp_path / "file")
    with pytest.raises(InputError, match="unpack"):
        list(rows(tmp_path / "file", "x.parquet"))
