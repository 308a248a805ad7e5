"""What the image is made of reaches its build."""

import re
from pathlib import Path

import pytest

from bugtracker.settings import PROJECT_ROOT

COPIED = re.findall(r"^COPY (?!--)(.+) \S+$", (PROJECT_ROOT / "Dockerfile").read_text(), re.M)
LET_IN = {
    line.removeprefix("!").rstrip("/")
    for line in (PROJECT_ROOT / ".dockerignore").read_text().splitlines()
    if line.startswith("!")
}


@pytest.mark.parametrize("source", [Path(each) for line in COPIED for each in line.split()])
def test_what_is_copied_exists_and_is_not_ignored(source: Path) -> None:
    assert (PROJECT_ROOT / source).exists()
    assert {str(source), *map(str, source.parents)} & LET_IN
