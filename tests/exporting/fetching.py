"""Asking for exports and looking into them."""

import io
import zipfile
from typing import Any

import httpx
import orjson

from tests.jobs.running import eventually
from tests.world import Caller, Json


def asked(caller: Caller, user: object = "me", **headers: str) -> Json:
    """The job of an export that was asked for."""
    answer = caller.post(f"/api/users/{user}/export", headers=headers)
    assert answer.status_code == 202, answer.text
    job: Json = answer.json()
    assert answer.headers["location"] == f"/api/jobs/{job['id']}"
    return job


def job_of(caller: Caller, job: Json) -> Json:
    answer = caller.get(f"/api/jobs/{job['id']}")
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def finished(caller: Caller, job: Json) -> Json:
    """The job once it has ended."""
    eventually(lambda: job_of(caller, job)["finished_at"] is not None)
    return job_of(caller, job)


def download(caller: Caller, job: Json) -> httpx.Response:
    return caller.post(f"/api/exports/{job['id']}/download")


def exported(caller: Caller, user: object = "me") -> dict[str, Any]:
    """The files of a new export, by name."""
    job = finished(caller, asked(caller, user))
    assert job["state"] == "succeeded", job
    answer = download(caller, job)
    assert answer.status_code == 200, answer.text
    return files_of(answer.content)


def files_of(archive: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        return {name: orjson.loads(opened.read(name)) for name in opened.namelist()}
