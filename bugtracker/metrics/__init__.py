"""What a process counts of itself, for Prometheus.

One registry per process, one process per container: no numbers are shared between processes,
Prometheus adds them up. docs/decisions/0035-metrics-have-a-port-of-their-own.md has the reasons.

Labels have few values each: operations, statuses, codes and names of ours, never an id, an address
or anything a client wrote.
"""

import platform

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

from bugtracker import __version__

# When each series began: twice as many lines, for nobody.
disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

ANSWER_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
WAIT_SECONDS = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 14_400.0)

build = Info("bugtracker_build", "The version that runs.", registry=REGISTRY)
build.info({"version": __version__, "python": platform.python_version()})

requests = Counter(
    "bugtracker_http_requests_total",
    "Requests by operation of the contract and status; 499: the client left before the answer.",
    ("operation", "status"),
    registry=REGISTRY,
)
request_seconds = Histogram(
    "bugtracker_http_request_duration_seconds",
    "From the headers of a request to the end of its answer.",
    ("operation",),
    buckets=ANSWER_SECONDS,
    registry=REGISTRY,
)
in_flight = Gauge(
    "bugtracker_http_requests_in_flight",
    "Requests that are being answered, those that wait for news included.",
    registry=REGISTRY,
)
problems = Counter(
    "bugtracker_problems_total",
    "Refusals and failures by the stable code of their problem document.",
    ("code",),
    registry=REGISTRY,
)
logins = Counter(
    "bugtracker_login_attempts_total",
    "Logins by operation and outcome: accepted, failed, limited, error.",
    ("operation", "outcome"),
    registry=REGISTRY,
)
rate_limited = Counter(
    "bugtracker_rate_limited_total",
    "Requests that a rate limit refused, by the limit.",
    ("limit",),
    registry=REGISTRY,
)
redis_failures = Counter(
    "bugtracker_rate_limit_redis_failures_total",
    "Times Redis did not count in time, so that this process counted by itself.",
    registry=REGISTRY,
)
database_errors = Counter(
    "bugtracker_database_errors_total",
    "Failed statements and connections, by whether they pass by themselves; pool: none was free.",
    ("kind",),
    registry=REGISTRY,
)
jobs_run = Counter(
    "bugtracker_jobs_run_total",
    "Runs of jobs by task and outcome: succeeded, failed (is tried again), gave_up.",
    ("task", "outcome"),
    registry=REGISTRY,
)
job_seconds = Histogram(
    "bugtracker_job_duration_seconds",
    "How long runs of jobs took.",
    ("task",),
    buckets=(0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0),
    registry=REGISTRY,
)
chore_failures = Counter(
    "bugtracker_housekeeping_failures_total",
    "Failures of what a worker does every few seconds.",
    ("chore",),
    registry=REGISTRY,
)
webhook_attempts = Counter(
    "bugtracker_webhook_attempts_total",
    "Requests to receivers: accepted or failed.",
    ("outcome",),
    registry=REGISTRY,
)
webhook_lag = Histogram(
    "bugtracker_webhook_lag_seconds",
    "From an event to the first attempt to deliver it.",
    buckets=WAIT_SECONDS,
    registry=REGISTRY,
)
webhooks_in_flight = Gauge(
    "bugtracker_webhook_requests_in_flight",
    "Deliveries this worker has in hand; it takes 200 at most.",
    registry=REGISTRY,
)
webhook_turn = Gauge(
    "bugtracker_webhook_last_claim_timestamp_seconds",
    "When this worker last asked for deliveries that are due.",
    registry=REGISTRY,
)
