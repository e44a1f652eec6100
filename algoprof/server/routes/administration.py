"""`/v1/admin/...`: what an admin key may see: how busy each version is, and which workers are reserved (none are)."""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from algoprof.server.envelopes import Json

if TYPE_CHECKING:
    from algoprof.server.hosting.host import Host


async def executions(request: Request) -> Response:
    """Return each version that was called, with the calls that wait and run and the workers it has."""
    host: Host = request.app.state.host
    return Json(
        [
            {
                "algorithm": load.algorithm,
                "git_hash": load.commit,
                "queued": load.queued,
                "running": load.running,
                "idle": load.idle,
                "max_replicas": load.most,
            }
            for load in host.loads()
        ]
    )


async def reservations(_: Request) -> Response:
    """Return the workers that are kept for somebody."""
    return Json([])
