"""``make image-test``: builds the image, and holds it to what is said of it.

With podman, as root, for real: read-only, as nobody in particular, without capabilities, against
a PostgreSQL. Where the base image cannot be had (no registry), a Debian tree made by debootstrap
takes its name, and the output says so: then this proves our image, not the base.

    IMAGE_BUILD_OPTIONS   more options for `podman build`, such as the volumes that pip needs here
    BASE_TREE             a debootstrap tree to take instead of making one
"""

import asyncio
import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from bugtracker.embedded import Cluster, embedded_postgres

ROOT = Path(__file__).parent.parent
IMAGE = "localhost/bugtracker:image-test"
NAME = "bugtracker-image-test"
BASE = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[-1]
STAND_IN = "bugtracker.stand-in"
MOST_BYTES = 200 * 10**6
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
PORT = 18765
INSIDE = "IMAGE_TEST_INSIDE"


def say(text: str) -> None:
    print(f"image-test: {text}", flush=True)


def podman(*arguments: str, check: bool = True) -> str:
    """What podman says; RuntimeError with its complaint when it fails."""
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"podman {shlex.join(arguments)}: {done.stderr}")
    return done.stdout.strip() or str(done.returncode)


def own_cgroups() -> None:
    """Begin again in a mount namespace where cgroups are what crun accepts. It refuses those of
    version 1, mixed with 2, as some sandboxes have them."""
    if os.environ.get(INSIDE) or Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return
    mounting = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup"
    script = f"{mounting}; exec {shlex.quote(sys.executable)} -m tools.image_test"
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "-m", "sh", "-c", script])


def prepare_base() -> None:
    """Pull the base, or make its stand-in."""
    if subprocess.run(["podman", "image", "exists", BASE], check=False).returncode == 0:
        (found,) = json.loads(podman("image", "inspect", BASE))
        stands_in = STAND_IN in (found["Labels"] or {})
        say(f"{BASE} is here already{' as a STAND-IN made by debootstrap' if stands_in else ''}")
        return
    if subprocess.run(["podman", "pull", "-q", BASE], capture_output=True, check=False).returncode:
        say(f"{BASE} cannot be pulled: a debootstrap tree STANDS IN for it")
        with tempfile.TemporaryDirectory() as directory:
            import_tree(Path(os.environ.get("BASE_TREE") or make_tree(Path(directory) / "tree")))


def make_tree(tree: Path) -> Path:
    options = ["--variant=minbase", f"--include={PACKAGES}", "bookworm"]
    subprocess.run(["debootstrap", *options, str(tree)], check=True, stdout=subprocess.DEVNULL)
    return tree


def import_tree(tree: Path) -> None:
    # Where the official image has its Python, and what this machine believes of certificates.
    python = tree / "usr/local/bin/python"
    if not python.is_symlink():
        python.symlink_to("/usr/bin/python3")
    bundle = "etc/ssl/certs/ca-certificates.crt"
    shutil.copy(f"/{bundle}", tree / bundle)
    packed = subprocess.Popen(["tar", "-C", str(tree), "-c", "."], stdout=subprocess.PIPE)
    labelled = ["--change", f"LABEL {STAND_IN}=debootstrap"]
    subprocess.run(
        ["podman", "import", "-q", *labelled, "-", BASE], stdin=packed.stdout, check=True
    )


def build() -> None:
    say("building")
    options = ["--format", "docker", "--pull=never", "--isolation", "chroot", "--network", "host"]
    more = shlex.split(os.environ.get("IMAGE_BUILD_OPTIONS", ""))
    revision = ["--build-arg", "REVISION=image-test"]
    command = ["podman", "build", "-q", *options, *more, *revision, "-t", IMAGE, str(ROOT)]
    subprocess.run(command, check=True)


def check_what_it_is() -> None:
    (image,) = json.loads(podman("image", "inspect", IMAGE))
    (base,) = json.loads(podman("image", "inspect", BASE))
    beyond = image["Size"] - base["Size"]
    say(f"{beyond / 10**6:.0f} MB beyond the base")
    assert beyond < MOST_BYTES, "too large"
    assert image["User"] == "10001:10001"
    assert image["Config"]["Entrypoint"] == ["python", "-m", "bugtracker"]
    assert image["Labels"]["org.opencontainers.image.revision"] == "image-test"
    assert image["Healthcheck"]["Test"][0] == "CMD"
    assert not [e for e in image["Config"]["Env"] if re.match("PIP_|.*(PASSWORD|SECRET)", e)]


def options() -> list[str]:
    """As docker-compose runs it."""
    limits = (
        resource.getrlimit(kind)[1] for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC)
    )
    files, processes = (min(limit, 4096) if limit > 0 else 4096 for limit in limits)
    return [
        *("--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp:size=64m,mode=1777"),  # nosec B108
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "host"),
        *("--ulimit", f"nofile={files}:{files}", "--ulimit", f"nproc={processes}:{processes}"),
        *(["--cgroups=disabled"] if os.environ.get(INSIDE) else []),
    ]


def check_inside() -> None:
    script = (
        "id -u; touch /app/x 2>/dev/null && echo WRITABLE; find / -xdev -writable -type f "
        "-not -path '/proc/*' 2>/dev/null | head -3; command -v gcc make cc; ls -A /app"
    )
    said = podman("run", "--rm", *options(), "--entrypoint", "sh", IMAGE, "-c", script).split()
    expected = {
        ".env.example",
        "README.md",
        "bugtracker",
        "migrations",
        "openapi",
        "pyproject.toml",
    }
    assert said[0] == "10001", said
    assert set(said[1:]) == expected, f"what should not be there: {set(said[1:]) - expected}"
    say("read-only, not root, no compilers, only our tree")


@contextmanager
def database() -> Iterator[str]:
    """DATABASE_URL without its user: an embedded PostgreSQL behind a TCP port."""
    with (
        tempfile.TemporaryDirectory() as directory,
        embedded_postgres(Path(directory) / "postgres", durable=False) as cluster,
    ):
        cluster.ensure_database()
        threading.Thread(target=asyncio.run, args=(forward(cluster),), daemon=True).start()
        yield f"127.0.0.1:{PORT + 1}/bugtracker"


async def forward(cluster: Cluster) -> None:
    """Connect every caller of the port to the server's socket."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = f"{cluster.socket_dir}/.s.PGSQL.5432"
        there, back = await asyncio.open_unix_connection(path)
        await asyncio.gather(copy(reader, back), copy(there, writer), return_exceptions=True)

    server = await asyncio.start_server(connect, "127.0.0.1", PORT + 1)
    await server.serve_forever()


def environment(where: str) -> list[str]:
    values = {
        "DATABASE_URL": f"postgresql://bugtracker_api@{where}",
        "BUGTRACKER_SECRET_KEY": "the secret of an image that is tested",
        "BUGTRACKER_PORT": str(PORT),
        "BUGTRACKER_HOST": "127.0.0.1",
    }
    return [word for name, value in values.items() for word in ("--env", f"{name}={value}")]


def check_running(where: str) -> None:
    owner = f"BUGTRACKER_OWNER_DATABASE_URL=postgresql://bugtracker_owner@{where}"
    say(podman("run", "--rm", *options(), *environment(where), "--env", owner, IMAGE, "migrate"))
    start(where, "serve")
    wait_until_ready()
    assert podman("healthcheck", "run", NAME) == "0", "the health check fails"
    say("the health check passes")
    end("serve")
    start(where, "worker")
    probe = ["exec", NAME, "python", "-m", "bugtracker.probe"]
    wait_for(lambda: podman(*probe, "worker", check=False) == "ok", "a worker's heartbeat")
    assert podman(*probe, "api", check=False) != "ok", "there is no API, and the probe says so"
    end("worker")
    start(where, "serve")
    end("serve, just started")


def start(where: str, command: str) -> None:
    podman("run", "-d", "--name", NAME, *options(), *environment(where), IMAGE, command)


def wait_until_ready() -> None:
    def ready() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{PORT}/readyz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    wait_for(ready, "readiness")


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited in vain for {what}: {podman('logs', NAME)}")
        time.sleep(0.5)


def end(what: str) -> None:
    """SIGTERM ends it, in good order, before anybody has to kill it."""
    begun = time.monotonic()
    podman("kill", "--signal", "TERM", NAME)
    status = podman("wait", NAME)
    seconds = time.monotonic() - begun
    logs = podman("logs", NAME)
    podman("rm", "-f", NAME)
    assert status in ("0", "143"), f"{what} ended with {status}: {logs}"
    assert "just started" in what or status == "0", f"{what} ended with {status}: {logs}"
    say(f"SIGTERM ended {what} with {status} after {seconds:.1f} s")


def main() -> None:
    if os.geteuid() != 0:
        raise SystemExit("image-test: needs root, for podman as it runs here")
    if shutil.which("podman") is None:
        raise SystemExit("image-test: install podman, crun and debootstrap (Debian)")
    own_cgroups()
    prepare_base()
    build()
    check_what_it_is()
    check_inside()
    try:
        with database() as where:
            check_running(where)
    finally:
        podman("rm", "-f", "--ignore", NAME, check=False)
    say("all is well")


if __name__ == "__main__":
    main()
