"""Keys made from names."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bugtracker.services.project_keys import derive_key


class TestDeriveKey:
    @pytest.mark.parametrize(
        ("name", "key"),
        [
            ("Tidal Library System", "TLS"),
            ("qlog", "QLOG"),
            ("multipath", "MULTIPATH"),
            ("draft-ietf-webtrans-http3", "DIWH3"),
            ("tls13-spec", "T13S"),
            ("XMLHttpRequest", "XHR"),
            ("Ünïcode Äpfel", "UA"),
            ("3D engine", "P3E"),
            ("x", "XP"),
            ("7", "P7"),
            ("日本", "PROJECT"),
            ("incomprehensibilities", "INCOMPREHE"),
            ("", "PROJECT"),
        ],
    )
    def test_is_readable(self, name: str, key: str) -> None:
        assert derive_key(name, set()) == key

    def test_taken_ones_are_numbered(self) -> None:
        taken = {"TLS"}
        for expected in ("TLS2", "TLS3", "TLS4"):
            assert derive_key("Tidal Library System", taken) == expected
            taken.add(expected)

    def test_long_ones_make_room_for_the_number(self) -> None:
        assert derive_key("incomprehensibilities", {"INCOMPREHE"}) == "INCOMPREH2"

    @given(st.text(max_size=100), st.sets(st.sampled_from(["PROJECT", "PROJECT2", "XP", "P7"])))
    def test_any_name_gives_a_free_key_of_the_right_form(self, name: str, taken: set[str]) -> None:
        key = derive_key(name, taken)
        assert re.fullmatch(r"[A-Z][A-Z0-9]{1,9}", key)
        assert key not in taken
