"""Interactive documentation at /docs whose every byte comes from this process.

FastAPI's own page fetches Swagger UI from a content delivery network; `fastapi-offline` ships the same files.
"""

from collections.abc import Awaitable, Callable
from importlib.resources import files

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

DOCS_PATH = "/docs"
ASSETS_PATH = "/docs/assets"
ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "favicon.png": "image/png"}
# Without this Swagger UI asks a validator on another host about the document.
_PARAMETERS = {"validatorUrl": None, "tryItOutEnabled": True}


def add_docs(app: FastAPI) -> None:
    """Add the page and its files; the app must have been made with `docs_url=None, redoc_url=None`."""
    app.router.routes.append(Route(DOCS_PATH, _page(app), include_in_schema=False))
    app.router.routes.append(Route(ASSETS_PATH + "/{name}", _answer_asset, include_in_schema=False))


def _page(app: FastAPI) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        root = request.scope.get("root_path", "")
        return get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=app.title,
            swagger_js_url=f"{root}{ASSETS_PATH}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{ASSETS_PATH}/swagger-ui.css",
            swagger_favicon_url=f"{root}{ASSETS_PATH}/favicon.png",
            swagger_ui_parameters=_PARAMETERS,
        )

    return answer


async def _answer_asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in ASSETS:
        raise HTTPException(404)
    path = str(files("fastapi_offline") / "static" / name)
    return FileResponse(path, media_type=ASSETS[name], headers={"Cache-Control": "public, max-age=86400"})
