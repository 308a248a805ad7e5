"""How long jobs take, and how many succeed. What fails is counted where it is decided whether it is
tried again (:mod:`retry`)."""

import time
from collections.abc import Callable
from typing import Any

from bugtracker.metrics import job_seconds, jobs_run
from bugtracker.tracing import job_span


def measured(task: str, function: Callable[..., None]) -> Callable[..., None]:
    """The same job, with its numbers."""

    def run(*args: Any, **kwargs: Any) -> None:
        began = time.perf_counter()
        try:
            with job_span(task):
                function(*args, **kwargs)
        finally:
            job_seconds.labels(task).observe(time.perf_counter() - began)
        jobs_run.labels(task, "succeeded").inc()

    return run
