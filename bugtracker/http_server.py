"""How uvicorn is run: the same for the command and for the tests."""

from typing import Any

import uvicorn
from starlette.types import ASGIApp

from bugtracker.edge.protocol import EdgeProtocol


def server_config(app: ASGIApp, **where: Any) -> uvicorn.Config:
    """uvicorn's configuration; ``where`` are its own ``host``, ``port`` and the like."""
    return uvicorn.Config(
        app,
        http=EdgeProtocol,
        ws="none",
        server_header=False,
        # The edge reads X-Forwarded-For itself, from trusted proxies only.
        proxy_headers=False,
        access_log=False,
        log_config=None,
        **where,
    )
