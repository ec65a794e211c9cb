"""Lines that are not taken, one per reason; and lines that are taken exactly as they stand."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.formats.strict import LINE_BYTES, TEXT_CHARACTERS, Reject, excerpt, parse

pytestmark = [pytest.mark.rule("S33"), pytest.mark.rule("R20")]

REJECTED = [
    (b"", "blank_line"),
    (b" \t ", "blank_line"),
    (b'{"a": "\xff"}', "bad_utf8"),
    (b'{"a": "\xc0\xaf"}', "bad_utf8"),
    (b'{"a": "\xed\xa0\x80"}', "bad_utf8"),
    (b'{"a": 1', "bad_json"),
    (b'{"a": 1} {"b": 2}', "bad_json"),
    (b"{'a': 1}", "bad_json"),
    (b'{"a": "tab\there"}', "bad_json"),
    (b'{"a": 01}', "bad_json"),
    (b"[1]", "not_an_object"),
    (b'"text"', "not_an_object"),
    (b"null", "not_an_object"),
    (b'{"a": 1, "a": 1}', "duplicate_key"),
    (b'{"x": {"a": 1, "b": 2, "a": 3}}', "duplicate_key"),
    (b'{"a": NaN}', "nan_or_inf"),
    (b'{"a": -Infinity}', "nan_or_inf"),
    (b'{"a": 1e999}', "nan_or_inf"),
    (b'{"a": "\\ud800"}', "surrogate"),
    (b'{"\\udfff": 1}', "surrogate"),
    (b'{"a": "\\u0000"}', "nul_char"),
    (b'{"a": "\x00"}', "nul_char"),
    (b'{"a": ' + b"[" * 32 + b"]" * 32 + b"}", "too_deep"),
    (b'{"a": ' * 100_000, "too_deep"),
    (b'{"a": 9223372036854775808}', "int_too_big"),
    (b'{"a": ' + b"9" * 5000 + b"}", "int_too_big"),
    (b'{"a": "' + b"x" * (TEXT_CHARACTERS + 1) + b'"}', "text_too_long"),
    (b'{"a": "' + b"x" * LINE_BYTES + b'"}', "line_too_long"),
]


@pytest.mark.parametrize(("line", "reason"), REJECTED, ids=lambda value: str(value)[:24])
def test_reasons(line, reason):
    with pytest.raises(Reject) as caught:
        parse(line)
    assert caught.value.reason == reason
    shown = excerpt(caught.value.found)
    assert len(shown) <= 80
    assert shown.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        " kept \r\n\t",
        "\u2028\u2029\u0085\x0b\x0c",
        "👩‍👩‍👧 é é",
        "ﷺ ‮abc",
        "\ufffd",
        "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    ],
)
def test_text_is_taken_exactly(text):
    for ascii_only in (True, False):
        assert parse(json.dumps({"a": text}, ensure_ascii=ascii_only).encode()) == {"a": text}


def test_the_edges_are_inside():
    deep = '{"a": ' + "[" * 31 + "]" * 31 + "}"
    assert parse(deep.encode())
    assert parse(b'{"a": -9223372036854775808, "b": 9223372036854775807}')
    assert parse(json.dumps({"a": "x" * TEXT_CHARACTERS}).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_a_reject(line):
    try:
        told = parse(line)
    except Reject as reject:
        told = {reject.reason: excerpt(reject.found)}
        shown = told[reject.reason]
    else:
        shown = ""
    assert isinstance(told, dict)
    assert shown == "" or (shown.isprintable() and len(shown) <= 80)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), VALUES, max_size=5))
def test_what_json_writes_is_read_back(value):
    assert parse(json.dumps(value).encode()) == value


def test_a_line_beyond_the_limit_costs_no_copy():
    line = b'{"a": "' + b"x" * (16 * 2**20) + b'"}'
    tracemalloc.start()
    with pytest.raises(Reject):
        parse(line)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20
