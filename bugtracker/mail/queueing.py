"""Asking for a mail, in the transaction of what it tells of."""

from bugtracker.context import Context
from bugtracker.jobs.queue import JobArgument, Options


def queue_mail(
    ctx: Context, kind: str, options: Options | None = None, /, **ids: JobArgument
) -> None:
    """Queues the job ``mail.<kind>``, and tells it the language of the request: that of the mail
    for people who have set none."""
    ctx.runtime.queue.defer(ctx.session, f"mail.{kind}", options, language=ctx.language, **ids)
