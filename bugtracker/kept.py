"""What is made of files, kept beside them: a start need not make it again.

What is kept says what it was made of. Where that has changed, or what is kept is damaged, it is
made anew; where it cannot be written, a start takes longer.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from bugtracker import __version__

_DIGEST = hashlib.sha256().digest_size


def kept(place: Path, sources: Iterable[Path], make: Callable[[], bytes]) -> bytes:
    """What ``make`` makes of the files ``sources``, code among them; from ``place``, if it is of
    these and whole. Whatever ``make`` raises."""
    made_of = _digest_of(sources)
    found = _read(place, made_of)
    if found is not None:
        return found
    content = make()
    # A read-only file system, or somebody else's files: it works without.
    with suppress(OSError):
        _write(place, made_of + hashlib.sha256(content).digest() + content)
    return content


def _digest_of(sources: Iterable[Path]) -> bytes:
    digest = hashlib.sha256(__version__.encode())
    for file in sources:
        content = file.read_bytes()
        digest.update(f"\0{file}\0{len(content)}\0".encode() + content)
    return digest.digest()


def _read(place: Path, made_of: bytes) -> bytes | None:
    try:
        whole = place.read_bytes()
    except OSError:
        return None
    content = whole[2 * _DIGEST :]
    expected = made_of + hashlib.sha256(content).digest()
    return content if whole[: 2 * _DIGEST] == expected else None


def _write(place: Path, content: bytes) -> None:
    """Whoever reads meanwhile finds the old one or the new one."""
    with NamedTemporaryFile(dir=place.parent, prefix=place.name, delete=False) as file:
        file.write(content)
    try:
        os.chmod(file.name, 0o644)
        os.replace(file.name, place)
    finally:
        Path(file.name).unlink(missing_ok=True)
