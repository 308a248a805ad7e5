"""The contract is bundled once, and anew when a file of it has changed."""

import shutil
from pathlib import Path

import pytest

from bugtracker import bundling
from bugtracker.bundled import KEPT, bundled
from bugtracker.contract import ROOT_FILE


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the contract, which nobody has bundled yet."""
    copy = tmp_path / "openapi"
    shutil.copytree(ROOT_FILE.parent, copy, ignore=shutil.ignore_patterns(f"{KEPT}*"))
    return copy / ROOT_FILE.name


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Each time that the files were read."""
    made: list[Path] = []
    really = bundling.bundle

    def counted(root: Path) -> bundling.Json:
        made.append(root)
        return really(root)

    monkeypatch.setattr(bundling, "bundle", counted)
    return made


class TestBundled:
    def test_is_made_once_and_the_same_ever_after(self, root: Path, times: list[Path]) -> None:
        first = bundled(root)
        assert bundled(root) == first
        assert len(times) == 1

    def test_is_made_anew_when_a_file_has_changed(self, root: Path, times: list[Path]) -> None:
        bundled(root)
        root.write_text(root.read_text().replace("title: ", "title: Another ", 1))
        assert b'"title":"Another ' in bundled(root).json
        assert len(times) == 2

    def test_is_made_anew_when_a_sample_is_added(self, root: Path, times: list[Path]) -> None:
        bundled(root)
        (root.parent / "samples" / "list_projects.sh").write_text("curl of another kind\n")
        assert b"curl of another kind" in bundled(root).yaml
        assert len(times) == 2

    @pytest.mark.parametrize(
        "damage",
        [lambda kept: kept[:-1], lambda kept: kept[:40], lambda _: b"", lambda kept: kept + b"\n"],
        ids=["cut", "cut short", "empty", "longer"],
    )
    def test_is_made_anew_when_what_was_kept_is_damaged(
        self, root: Path, times: list[Path], damage: bundling.Json
    ) -> None:
        first, kept = bundled(root), root.parent / KEPT
        kept.write_bytes(damage(kept.read_bytes()))
        assert bundled(root) == first
        assert len(times) == 2
        assert bundled(root) == first
        assert len(times) == 2

    def test_works_where_nothing_can_be_written(self, root: Path, times: list[Path]) -> None:
        # Root may write into any directory, but never a file where a directory is.
        (root.parent / KEPT).mkdir()
        assert bundled(root) == bundled(root)
        assert len(times) == 2
        assert [each.name for each in root.parent.glob(f"{KEPT}*")] == [KEPT]

    def test_leaves_nothing_else_behind(self, root: Path) -> None:
        before = set(root.parent.iterdir())
        bundled(root)
        assert set(root.parent.iterdir()) - before == {root.parent / KEPT}
