"""Brings the catalogues up to date with the messages in the code: ``make messages``.

New messages come in untranslated, those that nobody uses any more go. What is in a catalogue but
for the translations follows from the code alone, so that running this again changes nothing.
docs/localisation.md has the rules.
"""

import re
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from bugtracker.contract import load_contract
from bugtracker.messages import CATALOGUES, DOMAIN, LANGUAGES, SOURCE
from bugtracker.violations import hints_of

CODE = CATALOGUES.parent
KEYWORDS = {"_": None, "ngettext": (1, 2)}
TRANSLATED = tuple(language for language in LANGUAGES if language != SOURCE)
# Dates and names that would change with every run, or with the version of Babel.
CHANGING = re.compile(
    rb'^"(?:Project-Id-Version|Report-Msgid-Bugs-To|POT-Creation-Date|PO-Revision-Date'
    rb"|Last-Translator|Language-Team|Generated-By): [^\n]*\n",
    re.MULTILINE,
)


def path_of(language: str) -> Path:
    """Where the catalogue of a language is."""
    return CATALOGUES / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def extracted() -> Catalog:
    """All messages in the code, each with the files it is in, and the contract's hints."""
    catalogue = Catalog(domain=DOMAIN, fuzzy=False)
    methods = [("**.py", "python")]
    for file, _line, message, comments, context in extract_from_dir(
        CODE, methods, keywords=KEYWORDS, comment_tags=("Translators:",), strip_comment_tags=True
    ):
        place = (f"{CODE.name}/{Path(file).as_posix()}", None)
        catalogue.add(message, locations=[place], auto_comments=comments, context=context)
    for hint in hints_of(load_contract()).values():
        catalogue.add(str(hint), locations=[("openapi", None)])
    return catalogue


def catalogue_of(language: str) -> Catalog:
    """The catalogue as it is; an empty one for a new language."""
    path = path_of(language)
    if not path.exists():
        return Catalog(locale=language, domain=DOMAIN, fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=language, domain=DOMAIN)


def updated(language: str) -> bytes:
    """The catalogue with the messages of the code."""
    catalogue = catalogue_of(language)
    catalogue.header_comment = f"# The messages of Bugtracker in {catalogue.locale.english_name}."
    catalogue.fuzzy = False
    catalogue.update(extracted(), no_fuzzy_matching=True)
    written = BytesIO()
    write_po(
        written,
        catalogue,
        width=100,
        sort_by_file=True,
        ignore_obsolete=True,
        include_previous=False,
        include_lineno=False,
    )
    return CHANGING.sub(b"", written.getvalue())


def main() -> None:
    for language in TRANSLATED:
        path = path_of(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(updated(language))
        missing = sum(not _is_translated(message.string) for message in catalogue_of(language))
        print(f"{path.relative_to(CODE.parent)}: {missing} to translate")


def _is_translated(string: str | list[str] | tuple[str, ...]) -> bool:
    return bool(string) if isinstance(string, str) else all(string)


if __name__ == "__main__":
    main()
