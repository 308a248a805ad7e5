"""Exports: one archive, one download, and no more memory for a larger one."""

import tracemalloc

import httpx
import pytest

from tests.exporting.fetching import asked, download, files_of, finished, job_of
from tests.proofs.crowd import Crowd, statuses
from tests.proofs.reporting import Report
from tests.proofs.size import SIZE
from tests.world import Org

pytestmark = pytest.mark.usefixtures("worker")

TIMES = SIZE.requests
ISSUES = 20_000 if SIZE.full else 2_000
MOST_BYTES = 6 * 1024 * 1024


def test_one_download(crowded: Crowd, crew: Org, report: Report) -> None:
    """Of many downloads of one export one gets the archive, and it is whole."""
    job = finished(crew.member, asked(crew.member))
    headers, path = crew.member.authorization, job["result_url"]
    responses = crowded.at_once(lambda http, _: http.post(path, headers=headers))
    assert statuses(responses) == {200: 1, 410: TIMES - 1}
    (archive,) = (answer.content for answer in responses if answer.is_success)
    assert files_of(archive)["profile.json"]["id"] == str(crew.member.id)
    assert {r.json()["code"] for r in responses if r.is_error} == {"export_gone"}
    downloads = [e for e in crowded.world.events(crew, job) if e.action == "export.downloaded"]
    assert len(downloads) == 1
    report(requests=TIMES, archives=1, refused=TIMES - 1)


def test_one_job(crowded: Crowd, crew: Org, report: Report) -> None:
    """Of many requests for one export all get a job, one at a time, and one archive is left."""
    headers = crew.member.authorization

    def ask(http: httpx.Client, _: int) -> httpx.Response:
        return http.post("/api/users/me/export", headers=headers)

    responses = crowded.at_once(ask)
    assert statuses(responses) == {202: TIMES}
    jobs = {response.json()["id"]: response.json() for response in responses}
    ended = [finished(crew.member, job) for job in jobs.values()]
    assert {job["state"] for job in ended} == {"succeeded"}
    left = [job for job in ended if job_of(crew.member, job)["result_url"]]
    assert len(left) == 1
    report(requests=TIMES, jobs=len(jobs), archives=len(left))


def test_memory(crowded: Crowd, crew: Org, report: Report) -> None:
    """Making and sending an archive takes a few megabytes at the peak, however much is in it."""
    project = crew.manager.create_project()
    crowded.world.copy_issues(crew, project, ISSUES)
    peaks = {}
    for person in (crew.member, crew.manager):
        tracemalloc.start()
        try:
            job = finished(person, asked(person))
            size = len(download(person, job).content)
            _, peaks[job["total"]] = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    few, many = peaks
    assert few < 20
    assert many > ISSUES
    assert peaks[many] - size < MOST_BYTES
    report(records=many, kilobytes=size // 1024, peak_kilobytes=peaks[many] // 1024)
