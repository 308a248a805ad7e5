"""What an import did, and what it could not do."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bugtracker.importing.fields import Refused

EXIT_OK = 0
EXIT_NOTHING_DONE = 1
EXIT_SOME_REFUSED = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """Something refused, or changed so that it could be stored, and its place in the file."""

    file: str
    place: str
    message: str
    refused: bool

    def __str__(self) -> str:
        return f"{self.file}: {self.place}: {self.message}"


@dataclass(slots=True)
class FileReport:
    """Counts of one archive. ``refused`` counts records: an issue with its comments, a comment."""

    path: Path
    project: str | None = None
    key: str | None = None
    issues: int = 0
    comments: int = 0
    continuations: int = 0
    people: set[str] = field(default_factory=set)
    pulls_skipped: int = 0
    unchanged: int = 0
    refused: int = 0
    failed: bool = False
    problems: list[Problem] = field(default_factory=list)

    def note(self, place: str, message: str) -> None:
        """Something was changed, and is in."""
        self.problems.append(Problem(self.path.name, place, message, refused=False))

    def refuse(self, refusal: Refused, records: int = 1) -> None:
        """Some records stay out."""
        self.refused += records
        self._refused(refusal)

    def fail(self, refusal: Refused) -> None:
        """The whole file stays out: what was counted before was not kept."""
        self.failed = True
        self.issues = self.comments = self.continuations = self.unchanged = 0
        self.people.clear()
        self._refused(refusal)

    def _refused(self, refusal: Refused) -> None:
        problem = Problem(self.path.name, refusal.place, refusal.message, refused=True)
        self.problems.append(problem)


@dataclass(slots=True)
class Report:
    """All files of one import."""

    dry_run: bool = False
    files: list[FileReport] = field(default_factory=list)

    @property
    def people(self) -> int:
        """New people; somebody in several archives counts once."""
        return len(set[str]().union(*(file.people for file in self.files)))

    def total(self, count: str) -> int:
        """The sum of a count such as ``issues`` over all files."""
        return sum(int(getattr(file, count)) for file in self.files)

    def problems(self, *, refused: bool | None = None) -> Iterator[Problem]:
        """All problems, or those that kept something out, or those that did not."""
        for file in self.files:
            for problem in file.problems:
                if refused is None or problem.refused == refused:
                    yield problem

    @property
    def exit_code(self) -> int:
        """0 when all went in, 3 when something was refused, 1 when nothing could be done."""
        if all(file.failed for file in self.files):
            return EXIT_NOTHING_DONE
        refused = any(True for _ in self.problems(refused=True))
        return EXIT_SOME_REFUSED if refused else EXIT_OK
