"""Is the process of this container well? For health checks: exit code 0 or 1, and one line.

``python -m bugtracker.probe api|worker``. Run every few seconds, so it imports neither the program
nor its settings, which would take more time than all requests meanwhile.
"""

import os
import sys
import urllib.request

SECONDS = 4
HEARTBEAT_SECONDS = 60
"""Workers write their heartbeat every ten seconds."""

_HEARTBEAT = """
SELECT count(*) FROM jobs.procrastinate_workers
WHERE last_heartbeat > now() - make_interval(secs => %s)
"""


def api() -> str | None:
    """What is wrong with the API on this machine's port; None where it answers."""
    url = f"http://127.0.0.1:{os.environ.get('BUGTRACKER_PORT', '8000')}/healthz"
    # No proxy of the surroundings stands between a process and its own machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=SECONDS) as answer:
            return None if answer.status == 200 else f"{url} answered {answer.status}"
    except OSError as error:
        return f"{url}: {error}"


def worker() -> str | None:
    """What is wrong with the workers of the database; None where one has shown itself."""
    import psycopg

    scheme, _, rest = os.environ["DATABASE_URL"].partition("://")
    url = f"{scheme.partition('+')[0]}://{rest}"
    options = "-c role=bugtracker_app -c statement_timeout=3000"
    try:
        with psycopg.connect(url, connect_timeout=SECONDS, options=options) as connection:
            found = connection.execute(_HEARTBEAT, [HEARTBEAT_SECONDS]).fetchone()
    except psycopg.Error as error:
        # The message of a refused connection names host and login, never the password.
        return f"database: {type(error).__name__}"
    return None if found and found[0] else f"no heartbeat of a worker for {HEARTBEAT_SECONDS} s"


def main(arguments: list[str]) -> int:
    """Run the named check."""
    checks = {"api": api, "worker": worker}
    if len(arguments) != 1 or arguments[0] not in checks:
        print("usage: python -m bugtracker.probe api|worker", file=sys.stderr)
        return 2
    problem = checks[arguments[0]]()
    print(problem or "ok")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
