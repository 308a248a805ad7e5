"""The cursor of a page far behind the first one: only walking leads there."""

import sys
from dataclasses import replace

import httpx

from bench.scene import Scene
from bench.servers import Running

FAR = 100_000
PAGE = 100


def with_deep_cursor(scene: Scene, server: Running, size: int) -> Scene:
    """The scene with the cursor of the page in the middle, or at row 100,000."""
    rows = min(FAR, size // 2)
    print(f"bench: walking to row {rows:,}", file=sys.stderr)
    url = f"http://127.0.0.1:{server.ports[0]}/api/issues"
    query: dict[str, str | int] = {"sort": "-created_at", "limit": PAGE}
    headers = {"Authorization": f"Bearer {scene.managers[0].token}"}
    with httpx.Client(headers=headers, timeout=30) as client:
        for _ in range(rows // PAGE):
            answer = client.get(url, params=query).raise_for_status()
            query["cursor"] = answer.json()["next_cursor"]
    return replace(scene, deep_cursor=str(query["cursor"]))
