"""What every route asks of a request: whose it is, and what values it brings."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from fedad.serving import bodies
from fedad.serving.state import Serving


def serving_by(request: Request) -> Serving:
    """The server that is asked."""
    serving: Serving = request.app.state.serving
    return serving


async def json_by(request: Request) -> dict[str, Any]:
    """The JSON object that it brings.

    Raises:
        RefusedError: it brings something else.
    """
    return await run_in_threadpool(bodies.json_of, await request.body())
