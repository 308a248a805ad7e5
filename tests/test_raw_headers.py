"""What is said about a body where there is none, and what can end a header's line."""

import pytest

from bugtracker.answers import Answer

JSON = {"Content-Type": "application/json", "Content-Language": "de", "ETag": '"1"'}


class TestRawHeaders:
    def test_tell_how_long_the_body_is(self) -> None:
        raw = dict(Answer(200, b"{}", JSON).raw)
        assert raw[b"content-length"] == b"2"
        assert raw[b"content-type"] == b"application/json"

    def test_of_something_unchanged_say_nothing_about_a_body(self) -> None:
        assert Answer(304, b"", JSON).raw == [(b"etag", b'"1"')]

    @pytest.mark.parametrize("answer", [Answer(204), Answer(200, is_streamed=True)])
    def test_have_no_length_where_no_body_is_sent_with_them(self, answer: Answer) -> None:
        assert answer.raw == []

    @pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b"])
    def test_do_not_become_two(self, value: str) -> None:
        with pytest.raises(ValueError, match="ends its line"):
            Answer(200, b"", {"Location": value})

    def test_are_latin_1(self) -> None:
        with pytest.raises(ValueError, match="latin-1"):
            Answer(200, b"", {"Location": "€"})
