"""The edge: parameters in, answers out, no logic. One module per topic; `add_routes` puts them together."""

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from query_api.database import Reader
from query_api.failures import BadParameter, NotThere
from query_api.routes.analytics import make_router as analytics_router
from query_api.routes.jobs import make_router as jobs_router
from query_api.routes.orders import make_router as orders_router
from query_api.routes.records import make_router as records_router
from tillstream.clock import Clock
from tillstream.http.parameters import bad_parameter, refuse_repeated
from tillstream.http.problems import Problem, problem_response


def add_routes(app: FastAPI, reader: Reader, clock: Clock) -> None:
    """Every route of this service, and the errors that only it knows."""
    for router in (
        orders_router(reader),
        analytics_router(reader, clock),
        jobs_router(reader),
        records_router(reader, clock),
    ):
        app.include_router(router, dependencies=[Depends(refuse_repeated)])
    app.add_exception_handler(BadParameter, _answer_bad_parameter)
    app.add_exception_handler(NotThere, _answer_not_there)


async def _answer_bad_parameter(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BadParameter)
    return problem_response(bad_parameter(error.name, error.message, error.place))


async def _answer_not_there(_request: Request, error: Exception) -> Response:
    return problem_response(Problem(404, str(error)))
