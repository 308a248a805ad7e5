"""Messages for people: all of them marked, all of them translated.

What to do when something fails here stands in docs/localisation.md; mostly it is ``make messages``,
and translating what is empty then.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from bugtracker.contract import load_contract
from bugtracker.errors import AppError, ResourceNotFound, Violation, all_errors, problem
from bugtracker.messages import LANGUAGES, SOURCE, Message, _, listed, ngettext, one_of
from bugtracker.violations import hints_of
from tools.messages import CODE, KEYWORDS, TRANSLATED, catalogue_of, extracted, path_of, updated

TO_DO = "run `make messages`, then translate what is empty (docs/localisation.md)"


def placeholders(text: str) -> set[str]:
    return {name for _text, name, _form, _kind in Formatter().parse(text) if name is not None}


def forms(text: Any) -> tuple[str, ...]:
    """The one form of a message, or its singular and plural."""
    return (text,) if isinstance(text, str) else tuple(text)


def entries(language: str) -> list[Any]:
    """The messages of a catalogue, without its header."""
    return [message for message in catalogue_of(language) if message.id]


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Everything in the code that makes a message, with its place."""
    for path in sorted(Path(CODE).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node.func, "id", None) if isinstance(node, ast.Call) else None
            if isinstance(node, ast.Call) and name in KEYWORDS:
                yield f"{path.relative_to(CODE)}:{node.lineno}", node


class TestMarking:
    def test_every_text_is_written_out_where_it_is_marked(self) -> None:
        """Nothing else can be found by `make messages`: no f-strings, no variables."""
        for place, call in calls():
            texts = [arg for arg in call.args if isinstance(arg, ast.Constant)]
            wanted = 1 if call.func.id == "_" else 2  # type: ignore[attr-defined]
            assert len(texts) >= wanted, f"{place}: write the text out in the call"

    def test_every_text_names_the_values_that_it_is_given(self) -> None:
        for place, call in calls():
            texts = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
            given = {keyword.arg for keyword in call.keywords}
            for text in filter(lambda each: isinstance(each, str), texts):
                assert placeholders(str(text)) - {"n"} == given - {"n"}, f"{place}: {text!r}"

    def test_the_extraction_misses_none(self) -> None:
        marked = {
            call.args[0].value for _, call in calls() if isinstance(call.args[0], ast.Constant)
        }
        hints = set(hints_of(load_contract()).values())
        found = {forms(message.id)[0] for message in extracted() if message.id}
        assert found == {*marked, *hints}

    def test_a_text_that_is_not_marked_is_an_error_in_tests(self) -> None:
        for error in (
            ResourceNotFound("There is no such thing."),  # type: ignore[arg-type]
            ResourceNotFound(_("x"), errors=[Violation("x", "is wrong")]),  # type: ignore[arg-type]
        ):
            with pytest.raises(TypeError, match=r"docs/localisation\.md"):
                problem(error, "0" * 32)


@pytest.mark.parametrize("language", TRANSLATED)
class TestCatalogue:
    def test_is_up_to_date(self, language: str) -> None:
        assert path_of(language).read_bytes() == updated(language), TO_DO

    def test_says_everything_and_is_sure_of_it(self, language: str) -> None:
        for message in entries(language):
            assert all(forms(message.string)), f"{message.id!r} is not translated: {TO_DO}"
            assert not message.fuzzy, f"{message.id!r} is fuzzy: {TO_DO}"

    def test_uses_the_values_of_the_message(self, language: str) -> None:
        for message in entries(language):
            wanted = placeholders(forms(message.id)[-1])
            for text in forms(message.string):
                assert placeholders(text) == wanted, f"{message.id!r} became {text!r}"

    def test_ends_as_the_message_does(self, language: str) -> None:
        """A sentence stays a sentence, a part of one stays a part."""
        for message in entries(language):
            for text, original in zip(forms(message.string), forms(message.id), strict=False):
                assert text.endswith((".", "।")) == original.endswith("."), message.id
                assert text == text.strip()

    def test_has_a_title_of_its_own_for_every_error(self, language: str) -> None:
        for error in all_errors():
            assert error.title.in_language(language) != str(error.title), error.code


class TestMessage:
    def test_is_its_english_text(self) -> None:
        message = _("Send at most {limit} bytes.", limit=5)
        assert message == "Send at most 5 bytes."
        assert type(message.in_language(SOURCE)) is str
        assert message.in_language("de") == "Senden Sie höchstens 5 Bytes."

    def test_translates_the_values_that_are_messages(self) -> None:
        words = [_("a field"), "`(`", _("the end")]
        expected = one_of(words)
        assert expected == "a field, `(` or the end"
        assert expected.in_language("de") == "ein Feld, `(` oder das Ende"
        assert one_of(words[:1]).in_language("de") == "ein Feld"
        assert listed(words).in_language("hi") == "फ़ील्ड, `(`, अंत"

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_takes_values_as_they_are(self, language: str) -> None:
        """Whoever chooses a name does not choose what is filled in."""
        hostile = "{rule} {0} {name.__class__} %s"
        message = _("The header {name} {rule}.", name=hostile, rule=_("must be sent"))
        assert hostile in message.in_language(language)

    @pytest.mark.parametrize(
        ("n", "english", "german", "hindi"),
        [
            (1, "must have at least 1 item", "muss mindestens 1 Eintrag haben",
             "में कम से कम 1 आइटम होना चाहिए"),
            (2, "must have at least 2 items", "muss mindestens 2 Einträge haben",
             "में कम से कम 2 आइटम होने चाहिए"),
        ],
    )  # fmt: skip
    def test_numbers_choose_the_form(self, n: int, english: str, german: str, hindi: str) -> None:
        message = ngettext("must have at least {n} item", "must have at least {n} items", n)
        assert [message.in_language(each) for each in ("en", "de", "hi")] == [
            english, german, hindi,
        ]  # fmt: skip

    def test_that_no_catalogue_has_stays_english(self) -> None:
        assert Message("Not in {any}", {"any": 1}).in_language("de") == "Not in 1"

    def test_codes_are_not_messages(self) -> None:
        for error in (AppError, *all_errors()):
            assert not isinstance(getattr(error, "code", ""), Message)
