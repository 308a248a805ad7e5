"""The strict JSON parser: everything JSON, and nothing that two parsers could read differently."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bugtracker.errors import RequestMalformed
from bugtracker.jsonbody import parse_json

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=5)
    ),
    max_leaves=30,
)

REFUSED = {
    "nothing": b"",
    "only white space": b" \r\n\t",
    "half a document": b'{"a": 1',
    "two documents": b"{} {}",
    "rubbish after it": b"{}x",
    "a trailing comma": b"[1,]",
    "single quotes": b"{'a': 1}",
    "a comment": b"{} // done",
    "a bare word": b"{a: 1}",
    "a raw control character": b'"a\nb"',
    "a raw NUL": b'"\x00"',
    "a wrong escape": b'"\\x41"',
    "a short escape": b'"\\u12"',
    "a leading zero": b"01",
    "a plus sign": b"+1",
    "hexadecimal": b"0x10",
    "a bare point": b".5",
    "a point without digits": b"1.",
    "other scripts' digits": "\u0661".encode(),
    "True": b"True",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-16 without a mark": '{"a": 1}'.encode("utf-16-le"),
    "UTF-32": '{"a": 1}'.encode("utf-32"),
    "Latin-1": '"é"'.encode("latin-1"),
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "an overlong form": b'"\xc0\xaf"',
    "beyond Unicode": b'"\xf5\x80\x80\x80"',
    "a lone high surrogate": b'"\\ud800"',
    "a lone low surrogate": b'"\\udc00"',
    "surrogates the wrong way round": b'"\\udc00\\ud800"',
    "a lone surrogate in a key": b'{"\\ud800": 1}',
    "NaN": b"NaN",
    "Infinity": b"[Infinity]",
    "-Infinity": b'{"a": -Infinity}',
    "1e999": b"1e999",
    "-1e999": b"[-1e999]",
    "400 digits and a fraction": b"9" * 400 + b".0",
    "2**64": b"18446744073709551616",
    "-2**63 - 1": b"-9223372036854775809",
    "5000 digits": b"9" * 5000,
    "a million digits": b"9" * 1_000_000,
    "a key twice": b'{"a": 1, "a": 2}',
    "a key twice, once escaped": b'{"a": 1, "\\u0061": 1}',
    "a key twice, deep inside": b'[{"b": {"a": 1, "a": 1}}]',
    "300 arrays": b"[" * 300 + b"]" * 300,
    "100,000 arrays": b"[" * 100_000 + b"]" * 100_000,
    "100,000 open arrays": b"[" * 100_000,
    "100,000 objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
}


def is_read_or_refused(content: bytes) -> bool:
    """Whether the content is read as Python reads it, or refused in a sentence."""
    try:
        value = parse_json(content)
    except RequestMalformed as error:
        return error.detail.startswith("The body ")
    return bool(json.loads(content) == value)


class TestParseJson:
    @given(VALUES)
    def test_reads_back_whatever_json_can_say(self, value: Any) -> None:
        assert parse_json(json.dumps(value).encode()) == value
        assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value

    @given(st.binary(max_size=200))
    def test_any_bytes_give_a_value_or_a_clean_refusal(self, content: bytes) -> None:
        assert is_read_or_refused(content)

    @given(st.text(st.sampled_from('[]{}",:\\/ud8019eE+-.tfn NaInfity\n'), max_size=60))
    def test_nearly_json_gives_a_value_or_a_clean_refusal(self, text: str) -> None:
        assert is_read_or_refused(text.encode())

    @pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
    def test_refuses(self, content: bytes) -> None:
        begun = time.thread_time()
        with pytest.raises(RequestMalformed) as refusal:
            parse_json(content)
        assert refusal.value.status == 400
        assert refusal.value.detail.startswith("The body ")
        assert time.thread_time() - begun < 2

    def test_accepts_the_extremes(self) -> None:
        text = b'[18446744073709551615, -9223372036854775808, 1.5e308, "\\ud83d\\ude00", "\\u0000"]'
        expected = [2**64 - 1, -(2**63), 1.5e308, "😀", "\0"]
        assert parse_json(text) == expected

    def test_accepts_200_levels(self) -> None:
        assert json.dumps(parse_json(b"[" * 200 + b"]" * 200)) == "[" * 200 + "]" * 200

    @pytest.mark.parametrize(
        "content",
        [b'{"s3cret": 1, "s3cret": 2}', b'"s3cret\\ud800"', b'"s3cret', b's3cret"', b'"\\s3cret"'],
    )
    def test_never_repeats_what_was_sent(self, content: bytes) -> None:
        with pytest.raises(RequestMalformed) as refusal:
            parse_json(content)
        assert "s3cret" not in refusal.value.detail

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b'"\xff"', "The body is not UTF-8 (byte 1)."),
            (b'{\n "a" 1}', "The body is not JSON: Expecting ':' delimiter at line 2, column 6."),
            (b'{"a":1,"a":1}', "The body has an object with the same key twice."),
            (b'"\\ud800"', "The body has a lone surrogate, which no UTF-8 text can hold."),
            (b"18446744073709551616", "The body has an integer beyond 64 bits."),
            (b"9" * 5000, "The body has an integer beyond 64 bits."),
            (b"[" * 260 + b"]" * 260, "The body is nested too deeply."),
            (b"[" * 10**5, "The body is nested too deeply."),
        ],
    )
    def test_says_what_to_change(self, content: bytes, reason: str) -> None:
        with pytest.raises(RequestMalformed) as refusal:
            parse_json(content)
        assert refusal.value.detail == reason
