"""Files to numbered rows: JSON lines, JSON arrays, CSV, Parquet, Arrow, gzip and zstd. Never holds a whole file.

Leaves out what a row means. A line that cannot be a row is yielded with its `Reject`, so that nothing goes uncounted.
"""

import csv
import gzip
import io
import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import InputError
from workbench.formats.strict import LINE_BYTES, Reject, check, parse

CHUNK = 2**20
ARRAY_BYTES = 256 * 2**20
CELL_CHARACTERS = 2**20
UNPACKED_BYTES = 10 * 10**9
RATIO = 100
BATCH_ROWS = 64
BATCH_VALUES = 2**22
BOM = b"\xef\xbb\xbf"
DELIMITERS = (",", ";", "\t")
GZIP, ZSTD, PARQUET, ARROW = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1", b"ARROW1"
WIDE = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
ARCHIVES = (b"PK\x03\x04", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ")
TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},"]', re.DOTALL)
csv.field_size_limit(CELL_CHARACTERS)


@dataclass(slots=True)
class Line:
    """A numbered row, or the reason why it is none. `cells`: every value is text, because the file is a table."""

    number: int
    row: dict[str, Any] | None = None
    reject: Reject | None = None
    cells: bool = False


def rows(path: Path, name: str) -> Iterator[Line]:
    """Every line, element or row of a file, numbered from 1. The content decides how it is read; the name hints."""
    with path.open("rb") as source:
        head = source.read(8)
    if head.startswith(ARCHIVES):
        raise InputError(f"{name}: archives are not read; unpack it and import the files inside")
    if head.startswith(PARQUET):
        yield from _parquet(path, name)
        return
    if head.startswith(ARROW):
        yield from _arrow(path, name)
        return
    with _unpacked(path, name, head) as source:
        start = source.peek(CHUNK)[:CHUNK].removeprefix(BOM)
        if start.startswith(WIDE):
            raise InputError(f"{name}: the text is UTF-16 or UTF-32; save it as UTF-8 and import it again")
        yield from _reader(start, name)(source, name)


def _reader(start: bytes, name: str) -> Any:
    """How the text of a file is cut into rows, by its first line."""
    suffix = name.removesuffix(".gz").removesuffix(".zst").rpartition(".")[2].lower()
    first, _, rest = start.lstrip().partition(b"\n")
    whole = _is_json(first)
    if first.startswith(b"["):
        return _lines if suffix in ("jsonl", "ndjson") and whole and rest.strip() else _array
    if suffix in ("csv", "tsv") and not (whole and first.startswith(b"{")):
        return _table
    if first.startswith(b"{") and not whole and suffix == "json":
        return _one_object
    return _lines


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
        return True
    except (ValueError, RecursionError):
        return False


class _Unpacked(io.RawIOBase):
    """A decompressed stream that stops at a ratio of 100 and at 10 GB."""

    def __init__(self, source: Any, packed: int, name: str) -> None:
        self.source, self.name, self.limit, self.read_so_far = source, name, min(UNPACKED_BYTES, packed * RATIO), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self.source.read(len(buffer))
        except (OSError, EOFError, pa.ArrowException, gzip.zlib.error) as error:
            raise InputError(f"{self.name}: the compressed data is damaged ({error})") from None
        self.read_so_far += len(data)
        if self.read_so_far > max(self.limit, CHUNK):
            raise InputError(f"{self.name}: unpacks to more than {self.limit} bytes; unpack it yourself first")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.source.close()
        super().close()


def _unpacked(path: Path, name: str, head: bytes) -> BinaryIO:
    if head.startswith(GZIP):
        source: Any = gzip.open(path)  # noqa: SIM115
    elif head.startswith(ZSTD):
        source = pa.input_stream(str(path), compression="zstd")
    else:
        return path.open("rb", buffering=CHUNK)
    return io.BufferedReader(_Unpacked(source, path.stat().st_size, name), CHUNK)


def _lines(source: BinaryIO, name: str) -> Iterator[Line]:
    for number, line in enumerate(_split(source), 1):
        yield _parsed(number, line)


def _parsed(number: int, line: bytes) -> Line:
    try:
        return Line(number, parse(line))
    except Reject as reject:
        return Line(number, reject=reject)


def _split(source: BinaryIO) -> Iterator[bytes]:
    """Lines at LF only, without one CR; of a line beyond the limit only the start is kept."""
    if source.peek(3)[:3] == BOM:
        source.read(3)
    while line := source.readline(LINE_BYTES + 3):
        if not line.endswith(b"\n") and len(line) > LINE_BYTES:
            while (more := source.readline(CHUNK)) and not more.endswith(b"\n"):
                pass
        yield line.removesuffix(b"\n").removesuffix(b"\r")


def _array(source: BinaryIO, name: str) -> Iterator[Line]:
    """Elements of one array. A syntax error refuses the file: behind it nothing can be trusted."""
    data = _all(source, name)
    number = 0
    for number, (start, end) in enumerate(_elements(data, name), 1):
        line = _parsed(number, data[start:end])
        if line.reject and line.reject.reason in ("bad_json", "blank_line"):
            raise _syntax(data, start + int(line.reject.column or 1) - 1, name)
        yield line


def _all(source: BinaryIO, name: str) -> bytes:
    data = source.read(ARRAY_BYTES + 1)
    if len(data) > ARRAY_BYTES:
        raise InputError(f"{name}: a JSON array of more than 256 MB; save it as JSON lines (.jsonl)")
    return data


def _elements(data: bytes, name: str) -> Iterator[tuple[int, int]]:
    """Where each element starts and ends, found by brackets and quotes alone."""
    depth, start = 0, 0
    for token in TOKEN.finditer(data):
        mark = token[0]
        if mark == b'"':
            break
        elif mark in (b"[", b"{"):
            depth += 1
            if depth == 1:
                start = token.end()
        elif mark in (b"]", b"}"):
            depth -= 1
            if depth == 0 and mark == b"}":
                raise _syntax(data, token.start(), name)
            if depth == 0:
                if start != data.index(b"[") + 1 or data[start : token.start()].strip():
                    yield start, token.start()
                if data[token.end() :].strip():
                    raise _syntax(data, token.end(), name)
                return
        elif mark == b"," and depth == 1:
            yield start, token.start()
            start = token.end()
    raise _syntax(data, token.start() if mark == b'"' else len(data), name)


def _syntax(data: bytes, at: int, name: str) -> InputError:
    line = data.count(b"\n", 0, at) + 1
    column = at - (data.rfind(b"\n", 0, at) + 1) + 1
    return InputError(f"{name}: not valid JSON at byte {at}, line {line}, column {column}; nothing was read")


def _one_object(source: BinaryIO, name: str) -> Iterator[Line]:
    data = _all(source, name).removeprefix(BOM)
    line = _parsed(1, data)
    if line.reject and line.reject.reason == "bad_json":
        raise _syntax(data, int(line.reject.column) - 1, name)
    yield line


def _table(source: BinaryIO, name: str) -> Iterator[Line]:
    """CSV with a header. A quote that is never closed costs its own line, not the rest of the file."""
    records = _records(source)
    _, header, _ = next(records, (1, b"", True))
    text = _text(header, name)
    delimiter = max(DELIMITERS, key=lambda d: len(next(csv.reader([text], delimiter=d), [])))
    columns = next(csv.reader([text], delimiter=delimiter), [])
    if not columns or len(set(columns)) != len(columns) or "" in columns:
        raise InputError(f"{name}: the first line must name every column once; it reads {text[:80]!r}")
    for number, record, closed in records:
        try:
            yield Line(number, _cells(record, columns, delimiter, closed), cells=True)
        except Reject as reject:
            yield Line(number, reject=reject, cells=True)


def _text(header: bytes, name: str) -> str:
    try:
        return header.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{name}: the first line is not UTF-8; save the file as UTF-8") from None


def _records(source: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """(line where it starts, bytes, closed): physical lines joined while a quote is open, at most 1 MB."""
    number, lines, again = 1, _split(source), deque[bytes]()

    def next_line() -> bytes | None:
        return again.popleft() if again else next(lines, None)

    while (line := next_line()) is not None:
        joined, quotes, size = [line], line.count(b'"'), len(line)
        while quotes % 2 and size <= CELL_CHARACTERS and (more := next_line()) is not None:
            joined.append(more)
            quotes, size = quotes + more.count(b'"'), size + len(more)
        if quotes % 2:
            again.extendleft(reversed(joined[1:]))
            yield number, line, False
            number += 1
        else:
            yield number, b"\n".join(joined), True
            number += len(joined)


def _cells(record: bytes, columns: list[str], delimiter: str, closed: bool) -> dict[str, Any]:
    if not record.strip():
        raise Reject("blank_line", found=record)
    if not closed:
        raise Reject("bad_csv", record.rfind(b'"') + 1, record)
    if b"\0" in record:
        raise Reject("nul_char", record.index(b"\0") + 1, record)
    try:
        text = record.decode("utf-8")
        cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except UnicodeDecodeError as error:
        raise Reject("bad_utf8", error.start + 1, record) from None
    except csv.Error:
        raise Reject("bad_csv", found=record) from None
    if len(cells) != len(columns):
        raise Reject("csv_cells", found=f"{len(cells)} cells, {len(columns)} columns: {text}")
    return dict(zip(columns, cells, strict=True))


def _parquet(path: Path, name: str) -> Iterator[Line]:
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            columns = _columns(file.schema_arrow, name)
            yield from _batches(file.iter_batches(BATCH_ROWS, columns=columns, use_threads=False), name)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name}: cannot be read as Parquet ({_first(error)})") from None


def _arrow(path: Path, name: str) -> Iterator[Line]:
    try:
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
            columns = _columns(file.schema, name)
            batches = (file.get_batch(i).select(columns) for i in range(file.num_record_batches))
            parts = (b.slice(at, BATCH_ROWS) for b in batches for at in range(0, b.num_rows, BATCH_ROWS))
            yield from _batches(parts, name)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name}: cannot be read as Arrow ({_first(error)})") from None


def _first(error: Exception) -> str:
    return str(error).split("\n")[0][:200]


def _columns(schema: pa.Schema, name: str) -> list[str]:
    """Columns that JSON could hold; times and binaries are left out, extension types are refused."""
    if found := next((f.name for f in schema if isinstance(f.type, pa.BaseExtensionType)), None):
        raise InputError(f"{name}: column {found} has an extension type; save it with plain types")
    if len(set(schema.names)) != len(schema.names):
        raise InputError(f"{name}: two columns have one name")
    return [f.name for f in schema if _plain(f.type)]


def _plain(kind: pa.DataType) -> bool:
    if pa.types.is_nested(kind):
        return not pa.types.is_map(kind) and all(_plain(kind.field(i).type) for i in range(kind.num_fields))
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_integer)
    return any(t(kind) for t in (*tests, pa.types.is_floating, pa.types.is_boolean, pa.types.is_null))


def _batches(batches: Iterator[pa.RecordBatch], name: str) -> Iterator[Line]:
    number = size = 0
    for batch in batches:
        size += batch.nbytes
        if size > UNPACKED_BYTES or batch.nbytes > BATCH_ROWS * LINE_BYTES or _values(batch.columns) > BATCH_VALUES:
            raise InputError(f"{name}: rows unpack to more than {LINE_BYTES} bytes each, or all to more than 10 GB")
        for row in batch.to_pylist():
            number += 1
            try:
                row = _nan_as_null(row)
                check(row)
                yield Line(number, row)
            except Reject as reject:
                yield Line(number, reject=reject)


def _values(arrays: list[pa.Array]) -> int:
    """How many values these are, those inside lists and objects too: a packed bit becomes a Python object."""
    inner = [a.flatten() if pa.types.is_struct(a.type) else [a.flatten()] for a in arrays if pa.types.is_nested(a.type)]
    return sum(map(len, arrays)) + sum(map(_values, inner))


def _nan_as_null(value: Any) -> Any:
    """A missing number in a table is often NaN."""
    if isinstance(value, dict):
        return {k: _nan_as_null(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_nan_as_null(v) for v in value]
    return None if isinstance(value, float) and value != value else value
