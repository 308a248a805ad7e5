"""Progress of long work, on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


@dataclass(frozen=True)
class Bar:
    """What importers and seeds tell how far they are."""

    progress: Progress
    task: int

    def advance(self, n: int, label: str) -> None:
        """``n`` more of the total are done; ``label`` says of what."""
        self.progress.update(self.progress.task_ids[self.task], advance=n, description=label)


class Silent:
    """No progress is shown."""

    def advance(self, n: int, label: str) -> None:
        """Nothing to show."""


@contextmanager
def progress_bar(total: int, label: str) -> Iterator[Bar]:
    """A bar while the block lasts; plain lines are not broken where there is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        progress.add_task(label, total=max(total, 1))
        yield Bar(progress, 0)
