import json
import tracemalloc
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clicksend_reseller._wire import strict_json
from support.strategies import contents, json_values


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b' \t\r\n{ "a" : [ ] , "b" : { } } \n', {"a": [], "b": {}}),
        (b'{"a":1,"b":[1,2],"c":{"d":3}}', {"a": 1, "b": [1, 2], "c": {"d": 3}}),
        (b'{"a": 1.50, "b": "1.50", "c": -0.0}', {"a": Decimal("1.50"), "b": "1.50", "c": 0}),
        (b'{"a": 1E+300000}', {"a": Decimal("1E+300000")}),
        (b'{"a": {"b": 1, "b": 2}}', {"a": {"b": 2}}),
        ('{"é": "\\ud800"}'.encode(), {"é": "\ud800"}),
        (b'{"a": ' + b"9" * 4300 + b"}", {"a": int("9" * 4300)}),
        (b'{"a": 1.' + b"1" * 98 + b"}", {"a": Decimal("1." + "1" * 98)}),
    ],
)
def test_objects_are_read(content, expected):
    """Fractions keep their decimals, and the order and spacing of the text mean nothing."""
    parsed = strict_json.parse_object(content)
    assert repr(expected).replace("'c': 0", "'c': Decimal('-0.0')") == repr(parsed)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"{",
        b"{}",
        b"null",
        b'"text"',
        b"[]",
        b'[{"a": 1}]',
        b'{"a"}',
        b'{"a":}',
        b'{"a": 1,}',
        b'{"a": 1',
        b'{"a": 1} x',
        b'{"a": 1}{"a": 1}',
        b"{'a': 1}",
        b"{a: 1}",
        b"{1: 1}",
        b'{"a": 01}',
        b'{"a": .5}',
        b'{"a": "\n"}',
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "\\u0061": 2}',
        b'{"a": NaN}',
        b'{"a": [Infinity]}',
        b'{"a": {"b": -Infinity}}',
        b'{"a": 1e99999999999999999999}',
        b'{"a": -1e-99999999999999999999}',
        b'{"a": 1.' + b"1" * 99 + b"}",
        b'{"a": ' + b"9" * 10_000 + b"}",
        '\ufeff\ufeff{"a": 1}'.encode(),
        ' \ufeff{"a": 1}'.encode(),
        b"\xef\xbb\xbf",
        '{"a": "é"}'.encode("latin-1"),
        '{"a": 1}'.encode("utf-16"),
        b"\xff\xfe",
    ],
    ids=lambda content: repr(content[:24]),
)
def test_anything_else_is_a_value_error(content):
    """A key that stands twice can hide an answer, and NaN is no balance."""
    with pytest.raises(ValueError, match=r"."):
        strict_json.parse_object(content)


def test_a_byte_order_mark_is_passed_over():
    """Services in PHP send one when a file of theirs begins with it."""
    assert {"a": "\ufeffb"} == strict_json.parse_object('\ufeff{"a": "\ufeffb"}'.encode())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], []),
        ([1, {}], [1, {}]),
        ({"0": "a", "1": "b"}, ["a", "b"]),
        ({"1": "a", "5": "b", "0": "c"}, ["a", "b", "c"]),
        ({}, None),
        ({"0": "a", "total": 1}, None),
        ({"00": "a"}, None),
        ({"-1": "a"}, None),
        ({"\u0661": "a"}, None),
        ({"9" * 10: "a"}, None),
        (None, None),
        ("ab", None),
    ],
)
def test_a_list_of_php_may_be_an_object(value, expected):
    """PHP writes a list whose keys have a gap as an object; any other key makes it none."""
    assert expected == strict_json.array_in(value)


@pytest.mark.parametrize("bracket", [b"[", b'{"a":'])
def test_brackets_without_end_are_a_recursion_error(bracket):
    """Python's own limit holds, and the caller of this expects its error."""
    with pytest.raises((RecursionError, ValueError)):
        strict_json.parse_object(b'{"a": ' + bracket * 100_000)


MIB = 2**20
TINY = [
    b"{},",
    b"[],",
    b"0,",
    b"1.1,",
    b'"ab",',
    b"257,",
    b'{"a":1},',
    b'{"a":1.5},',
    b'{"ab":"cd"},',
]


@pytest.mark.parametrize("piece", TINY, ids=bytes.decode)
def test_two_mebibytes_of_tiny_values_are_refused_unparsed(piece):
    """As Python objects they would take 50 MB."""
    content = b'{"a": [' + piece * (2 * MIB // len(piece)) + b"0]}"
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="it holds more than 100000 values"):
            strict_json.parse_object(content)
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("piece", TINY, ids=bytes.decode)
def test_what_is_parsed_stays_within_twenty_megabytes(piece):
    """The limit on the number of values is low enough for the dearest of them."""
    marks = sum(map(piece.count, b",[{"))
    content = b'{"a": [' + piece * (99_990 // marks) + b"0]}"
    tracemalloc.start()
    try:
        strict_json.parse_object(content)
        assert tracemalloc.get_traced_memory()[1] < 20 * 10**6
    finally:
        tracemalloc.stop()


@given(content=contents)
def test_any_bytes_are_an_object_or_an_expected_error(content):
    """No other exception leaves the parser."""
    try:
        parsed = strict_json.parse_object(content)
    except (ValueError, RecursionError):
        return
    assert all(isinstance(key, str) for key in parsed)


@given(fields=st.dictionaries(st.text(max_size=5), json_values, min_size=1, max_size=4))
def test_what_the_standard_library_reads_strictly_is_read_alike(fields):
    """Walking the first level by hand changes no value."""
    for separators in (None, (",", ":"), (" ,\t", "\n:\r")):
        content = json.dumps(fields, default=str, separators=separators).encode()
        assert json.loads(content, parse_float=Decimal) == strict_json.parse_object(content)


@pytest.mark.parametrize(
    ("value", "is_object", "is_array"),
    [({}, True, False), ([], False, True), ((), False, False), (None, False, False)],
)
def test_kinds_of_containers(value, is_object, is_array):
    """What JSON gave is told by its exact type."""
    assert (is_object, is_array) == (strict_json.is_object(value), strict_json.is_array(value))
