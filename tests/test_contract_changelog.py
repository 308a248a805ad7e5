"""The changelog of the contract: what is compared, and what becomes of oasdiff's words."""

from tools.contract_changelog import FIRST, UNRELEASED, section, spans

CHANGES = """# API Changelog 0.1.0 vs. 0.1.0


## API Changes

### GET /api/events
-  endpoint added


## Components
-  the component security scheme `partner` was added
"""


class TestSpans:
    def test_go_from_the_newest_to_the_first(self) -> None:
        expected = [("v0.2.0", UNRELEASED), ("v0.1.0", "v0.2.0"), (FIRST, "v0.1.0")]
        assert list(spans(["v0.1.0", "v0.2.0"])) == expected
        assert list(spans([])) == [(FIRST, UNRELEASED)]


class TestSection:
    def test_keeps_the_changes_under_a_heading_of_its_own(self) -> None:
        assert section("v0.1.0", "v0.2.0", CHANGES) == (
            "\n## v0.2.0, since v0.1.0\n\n### GET /api/events\n- endpoint added\n\n"
            "### Components\n- the component security scheme `partner` was added\n"
        )

    def test_says_when_there_are_none(self) -> None:
        assert section("v0.1.0", UNRELEASED, "No changes\n").endswith("\n\nNothing changed.\n")
