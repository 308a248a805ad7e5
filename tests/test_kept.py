"""What is made of files is made once, and again when it has to be."""

import shutil
from pathlib import Path

import pytest

from bugtracker import messages
from bugtracker.kept import kept


class Maker:
    """Makes capitals of a file, and counts how often."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.times = 0

    def __call__(self) -> bytes:
        self.times += 1
        return self.source.read_bytes().upper()


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    source = tmp_path / "source"
    source.write_text("tide")
    return Maker(source)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / ".made"


class TestKept:
    def test_is_made_once(self, place: Path, make: Maker) -> None:
        assert [kept(place, [make.source], make) for _ in range(3)] == [b"TIDE"] * 3
        assert make.times == 1

    def test_is_made_again_of_another_source(self, place: Path, make: Maker) -> None:
        kept(place, [make.source], make)
        make.source.write_text("ebb")
        assert kept(place, [make.source], make) == b"EBB"

    @pytest.mark.parametrize("content", [b"", b"TIDE", b"x" * 64, b"x" * 68])
    def test_is_made_again_where_it_is_damaged(
        self, place: Path, make: Maker, content: bytes
    ) -> None:
        place.write_bytes(content)
        assert kept(place, [make.source], make) == b"TIDE"
        assert kept(place, [make.source], make) == b"TIDE"
        assert make.times == 1

    def test_an_error_leaves_nothing(self, place: Path, make: Maker) -> None:
        def fail() -> bytes:
            raise ValueError

        with pytest.raises(ValueError):
            kept(place, [make.source], fail)
        assert list(place.parent.iterdir()) == [make.source]


class TestCatalogues:
    def test_a_new_translation_is_noticed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.copytree(messages.CATALOGUES, tmp_path, dirs_exist_ok=True)
        monkeypatch.setattr(messages, "CATALOGUES", tmp_path)
        written = tmp_path / "de" / "LC_MESSAGES" / f"{messages.DOMAIN}.po"
        read = messages._catalogue.__wrapped__
        before = read("de").gettext("is required")
        written.write_text(written.read_text().replace(f'msgstr "{before}"', 'msgstr "fehlt noch"'))
        assert before not in ("is required", "fehlt noch")
        assert read("de").gettext("is required") == "fehlt noch"
