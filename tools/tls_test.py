"""``make nginx-test``, the part that takes long: testssl against nginx before two API processes.

Fails on any finding of medium severity or worse, but for those about the certificate, which is one
of our own for the test.
"""

import json
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.deploy.proxy import proxy
from tests.processes import free_port, served

SEVERE = {"MEDIUM", "HIGH", "CRITICAL"}
OF_THE_CERTIFICATE = ("cert", "DNS_CAA", "OCSP", "overall_grade", "grade_cap")


def main() -> None:
    """Run it; SystemExit with what was found."""
    program = shutil.which("testssl")
    if program is None:
        raise SystemExit("nginx-test: install testssl.sh (Debian)")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = [free_port(), free_port()]
        for port in ports:
            given = {"BUGTRACKER_LOCAL_DIR": str(directory / "local"), "BUGTRACKER_PORT": str(port)}
            log = stack.enter_context((directory / f"{port}.log").open("w"))
            stack.enter_context(served(given, log))
        (directory / "nginx").mkdir()
        front = stack.enter_context(proxy(directory / "nginx", ports))
        report = directory / "report.json"
        command = [program, "--quiet", "--color", "0", "--warnings", "batch", "--jsonfile"]
        subprocess.run([*command, str(report), front.url], check=False)
        found = json.loads(report.read_text())
    rated = [each for each in found if each["severity"] in SEVERE]
    ours = [each for each in rated if not each["id"].startswith(OF_THE_CERTIFICATE)]
    print(f"nginx-test: testssl checked {len(found)} things; of the test's own certificate:")
    for each in rated:
        print(f"  {each['severity']} {each['id']}: {each['finding']}")
    if len(found) < 50 or ours:
        raise SystemExit(f"nginx-test: testssl found {[each['id'] for each in ours]}")
    print("nginx-test: nothing of medium severity or worse")


if __name__ == "__main__":
    main()
