"""What the pages consist of: every answer known at start-up, so that none depends on files that
somebody may be replacing."""

import hashlib
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bugtracker.contract import Contract

STATIC = Path(__file__).parent / "static"

REVALIDATE = "public, no-cache"
FOR_EVER = "public, max-age=31536000, immutable"
A_DAY = "public, max-age=86400"

_CLOSED = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
# The style sheet of Swagger UI has its icons as data: images.
DOCS_POLICY = _CLOSED + (
    "script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
)
# Redoc makes style elements and fills them by script, which the policy does not mind; it minds the
# elements, by what is in them at first: nothing, and the rules of its scroll bars. It searches in a
# worker that it makes of its own text, and which is under this policy, too.
_EMPTY = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
_SCROLL_BARS = "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
REFERENCE_POLICY = _CLOSED + (
    f"script-src 'self'; style-src 'self' {_EMPTY} {_SCROLL_BARS}; img-src 'self' data:; "
    "connect-src 'self'; worker-src blob:"
)
LINKS_POLICY = _CLOSED + (
    "script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One answer: its bytes, and the headers that a 304 repeats (names in lower case)."""

    body: bytes | mmap.mmap
    """What is in files stays the operating system's: 3 MB that processes share, and that only those
    who read them need."""
    media_type: str
    etag: str
    cache_control: str
    policy: str | None = None
    """Content-Security-Policy; None leaves the edge's default, which allows nothing."""


def all_assets(contract: Contract) -> dict[str, Asset]:
    """Every asset by its path."""
    assets = dict(_contract_assets(contract))
    assets["/favicon.ico"] = _asset(STATIC / "favicon.ico", A_DAY)
    assets.update(_page("/docs", "/docs/", ("docs", "swagger-ui"), DOCS_POLICY))
    assets.update(_page("/reference", "/reference/", ("reference", "redoc"), REFERENCE_POLICY))
    assets.update(_page("/links/", "/links/", ("links",), LINKS_POLICY))
    return assets


def _contract_assets(contract: Contract) -> Iterator[tuple[str, Asset]]:
    yield (
        "/openapi.json",
        Asset(contract.json_bytes, "application/json", contract.etag, REVALIDATE),
    )
    # Two representations must not share a tag, although they change together.
    tag = f'{contract.etag[:-1]}-yaml"'
    yield "/openapi.yaml", Asset(contract.yaml_bytes, "application/yaml", tag, REVALIDATE)


def _page(
    path: str, base: str, folders: tuple[str, ...], policy: str
) -> Iterator[tuple[str, Asset]]:
    """A page (``index.html`` of the first folder) and the scripts and styles below ``base``.

    The latter get a hash of their content into their names: they can be cached for ever, and the
    page never meets a script of another version.
    """
    html = (STATIC / folders[0] / "index.html").read_bytes()
    for file in _scripts_and_styles(folders):
        asset = _asset(file, FOR_EVER)
        address = f"{base}{file.stem}.{asset.etag[1:13]}{file.suffix}"
        html = _replace_once(html, f'"{base}{file.name}"'.encode(), f'"{address}"'.encode())
        yield address, asset
    yield path, Asset(html, _MEDIA_TYPES[".html"], _etag(html), REVALIDATE, policy)


def _scripts_and_styles(folders: tuple[str, ...]) -> Iterator[Path]:
    for folder in folders:
        for file in sorted((STATIC / folder).iterdir()):
            if file.suffix in (".js", ".css"):
                yield file


def _replace_once(html: bytes, name: bytes, address: bytes) -> bytes:
    """ValueError where the page does not use a file exactly once."""
    if html.count(name) != 1:
        raise ValueError(f"{name.decode()} must occur exactly once in its page")
    return html.replace(name, address)


def _asset(file: Path, cache_control: str) -> Asset:
    with file.open("rb") as opened:
        body = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    asset = Asset(body, _MEDIA_TYPES[file.suffix], _etag(body), cache_control)
    if hasattr(body, "madvise"):
        body.madvise(mmap.MADV_DONTNEED)
    return asset


def _etag(body: bytes | mmap.mmap) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'
