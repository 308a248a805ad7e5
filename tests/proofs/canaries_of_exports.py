"""What a visitor finds in an export of their own data: none of their secrets."""

import io
import time
import zipfile

from tests.proofs.searching import found
from tests.proofs.visitor import Step, Visitor
from tests.repeating import new_key

PATIENCE = 30


def export(visitor: Visitor) -> None:
    """The last step: all secrets there are have passed by now."""
    mine, key = visitor.as_me(visitor.logged_in()), new_key()
    path = "/api/users/me/export"
    for _ in range(2):
        job = visitor.http.post(path, headers=mine | key).json()
    visitor.http.post(f"{path}?password={visitor.password}", headers=mine)
    deadline = time.monotonic() + PATIENCE
    while job["result_url"] is None:
        assert time.monotonic() < deadline, job
        time.sleep(0.1)
        job = visitor.http.get(f"/api/jobs/{job['id']}", headers=mine).json()
    answer = visitor.http.post(job["result_url"], headers=mine)
    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert found({"address": visitor.email}, files)
    assert found(visitor.secrets, files) == []
    assert visitor.http.post(job["result_url"], headers=mine).status_code == 410


STEPS: tuple[Step, ...] = (export,)
