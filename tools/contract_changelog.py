"""Writes docs/contract-changelog.md: what changed in the contract from release to release.

``python -m tools.contract_changelog OASDIFF``, the command to compare with. Releases are the tags
``v*``; what the tree has and the last of them had not comes first, as unreleased.
"""

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import orjson

from bugtracker.contract import ROOT_FILE, load_contract
from bugtracker.settings import PROJECT_ROOT

FILE = PROJECT_ROOT / "docs" / "contract-changelog.md"
# Before the first release: the oldest commit whose contract today's code can read.
FIRST = "4481173"
HEAD = """# Changelog of the contract

Made by `make contract-changelog` of the contracts themselves, with
[oasdiff](https://www.oasdiff.com); what the changes are for is in [CHANGELOG.md](../CHANGELOG.md).
"""
UNRELEASED = "Unreleased"


def spans(releases: list[str]) -> Iterator[tuple[str, str]]:
    """What to compare, newest first: (before, after), of releases in the order of their making."""
    commits = [FIRST, *releases, UNRELEASED]
    yield from reversed(list(pairwise(commits)))


def section(before: str, after: str, changes: str) -> str:
    """A chapter of the page, of what oasdiff writes: its headings are of the third level."""
    since = "the first that can be compared" if before == FIRST else before
    _, _, body = changes.partition("## API Changes\n")
    body = body.replace("\n## ", "\n### ").replace("\n-  ", "\n- ")
    lines = [line.rstrip() for line in body.splitlines()]
    kept = [line for line, next_line in pairwise([*lines, ""]) if line or next_line]
    text = "\n".join(kept).strip() or "Nothing changed."
    return f"\n## {after}, since {since}\n\n{text}\n"


def _compare(oasdiff: str, before: str, after: str) -> str:
    with tempfile.TemporaryDirectory() as work:
        files = [_bundle(commit, Path(work)) for commit in (before, after)]
        return _run(oasdiff, "changelog", *map(str, files), "--format", "markdown").decode()


def _bundle(commit: str, work: Path) -> Path:
    """The contract of a commit in one file."""
    root = ROOT_FILE
    if commit != UNRELEASED:
        archive = _run("git", "archive", commit, "openapi")
        with tarfile.open(fileobj=BytesIO(archive)) as tar:
            tar.extractall(work / commit, filter="data")
        root = work / commit / "openapi" / ROOT_FILE.name
    file = work / f"{commit}.json"
    file.write_bytes(orjson.dumps(load_contract(root).document))
    return file


def _run(*command: str) -> bytes:
    """What it prints; CalledProcessError when it fails."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=PROJECT_ROOT)  # noqa: S603 - ours
    return done.stdout


def main() -> None:
    oasdiff = str(Path(sys.argv[1]).absolute())
    tags = _run("git", "tag", "--list", "v*", "--sort=version:refname").decode().split()
    chapters = [section(*span, _compare(oasdiff, *span)) for span in spans(tags)]
    FILE.write_text(HEAD + "".join(chapters))


if __name__ == "__main__":
    main()
