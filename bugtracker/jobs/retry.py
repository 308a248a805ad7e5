"""When a failed job is tried again."""

import random
from smtplib import SMTPRecipientsRefused

from procrastinate import BaseRetryStrategy, RetryDecision
from procrastinate.jobs import Job

from bugtracker.metrics import jobs_run

MAX_ATTEMPTS = 10


class Backoff(BaseRetryStrategy):
    """5 s, 20 s, 80 s, … up to an hour, each shortened at random by up to half; ten attempts.

    Together some four hours, so that a mail outlives a restart of its server.
    """

    first = 5.0
    factor = 4.0
    longest = 3600.0

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """None when the job has failed for good."""
        if job.attempts + 1 >= MAX_ATTEMPTS or is_permanent(exception):
            jobs_run.labels(job.task_name, "gave_up").inc()
            return None
        jobs_run.labels(job.task_name, "failed").inc()
        return RetryDecision(retry_in={"seconds": round(self.delay(job.attempts))})

    def delay(self, attempts: int) -> float:
        """Seconds to wait after ``attempts`` earlier tries and this one."""
        longest = min(self.longest, self.first * self.factor**attempts)
        return longest * random.uniform(0.5, 1)  # noqa: S311 - spreads load, guards nothing


def is_permanent(error: BaseException) -> bool:
    """Whether another try must fail too: a value no mail can be made of, a refused recipient."""
    if isinstance(error, SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, ValueError)
