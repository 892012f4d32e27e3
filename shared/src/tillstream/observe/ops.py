"""The ops server of every process: /metrics, /health/live and /health/ready, on a port of its own."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tillstream.observe.health import Health, Report
from tillstream.observe.metrics import CONTENT_TYPE, Metrics
from tillstream.observe.web_server import WebServer


class OpsServer:
    """Runs on the process's own event loop, so that a loop that is stuck shows as an ops port that does not answer."""

    def __init__(self, host: str, port: int, health: Health, metrics: Metrics) -> None:
        self._health = health
        self._metrics = metrics
        self._server = WebServer(self._app(), host, port)

    @property
    def port(self) -> int:
        return self._server.port

    async def start(self) -> None:
        """Raises Misconfigured when the port cannot be had."""
        await self._server.start()

    async def stop(self) -> None:
        """May be repeated."""
        await self._server.stop()

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/metrics", self._answer_metrics),
                Route("/health/live", self._answer_live),
                Route("/health/ready", self._answer_ready),
            ]
        )

    async def _answer_metrics(self, _request: Request) -> Response:
        await self._health.ready()  # sets the gauges of readiness and of dependencies
        return Response(self._metrics.exposition(), headers={"content-type": CONTENT_TYPE})

    async def _answer_live(self, _request: Request) -> Response:
        return _answer(self._health.live(), "live")

    async def _answer_ready(self, _request: Request) -> Response:
        return _answer(await self._health.ready(), "ready")


def _answer(report: Report, word: str) -> Response:
    status = word if report.ok else f"not {word}"
    remarks = {"remarks": report.remarks} if report.remarks else {}
    content = {"status": status, "problems": report.problems, **remarks}
    return JSONResponse(content, status_code=200 if report.ok else 503)
