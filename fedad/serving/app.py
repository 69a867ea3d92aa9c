"""The routes: each reads what a request says, asks what it is of, and answers with JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from fedad.errors import FedadError
from fedad.serving import bodies, verdict_log
from fedad.serving.asked import json_by, serving_by
from fedad.serving.changing import models, teaching, thresholds
from fedad.serving.drifting import of_product
from fedad.serving.front import App, Front
from fedad.serving.metrics import KIND
from fedad.serving.recent import KINDS
from fedad.serving.refusals import RefusedError, bad, unknown
from fedad.serving.served import Upload
from fedad.serving.state import Serving, status_of
from fedad.serving.told import model_told

PAGE = Path(__file__).parent / "page"
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
JSON = "application/json"


def app_of(serving: Serving, note: Callable[[str], None]) -> App:
    """The application that answers for a server.

    Args:
        note: is told a line of each request that is refused.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.serving = serving
    for routes in (about, inspections, verdicts, drift, thresholds, teaching, models):
        app.include_router(routes)
    front = Front(app, serving, note)

    async def refused(request: Request, error: Exception) -> Response:
        found = status_of(_mended(error))
        front.say(request.scope, found)
        return JSONResponse({"error": found.line}, found.status, found.headers)

    async def failed(request: Request, error: Exception) -> Response:
        found = front.failed(request.scope, error)
        return JSONResponse({"error": found.line}, found.status)

    for kind in (RefusedError, FedadError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, refused)
    app.add_exception_handler(Exception, failed)
    return front


def _mended(error: Exception) -> Exception:
    """Errors of the framework as ours."""
    if isinstance(error, HTTPException):
        return RefusedError(error.status_code, f"{error.detail}", "unknown", error.headers)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        return bad(f"{first['loc'][-1]}: {first['msg']}")
    return error


about = APIRouter()


@about.api_route("/", methods=["GET", "HEAD"])
def index() -> Response:
    """The page."""
    return page("index.html")


@about.api_route("/page/{file}", methods=["GET", "HEAD"])
def page(file: str) -> Response:
    """A file of the page."""
    path = PAGE / file
    if path.parent != PAGE or path.suffix not in TYPES or not path.is_file():
        raise unknown(f"/page/{file}: there is no such file"[:120])
    return Response(path.read_bytes(), media_type=TYPES[path.suffix])


@about.api_route("/health", methods=["GET", "HEAD"])
def health() -> dict[str, str]:
    """Whether the process lives."""
    return {"status": "ok"}


@about.get("/ready")
def ready(request: Request) -> Response:
    """Whether pictures are judged."""
    is_ready, told = serving_by(request).ready()
    return JSONResponse(told, 200 if is_ready else 503)


@about.get("/metrics")
def metrics(request: Request) -> Response:
    """Counts for Prometheus."""
    serving = serving_by(request)
    return PlainTextResponse(serving.metrics.text(serving.gauges()), media_type=KIND)


@about.get("/v1/model")
def model(request: Request) -> dict[str, Any]:
    """The model that judges, and those that wait."""
    serving = serving_by(request)
    return model_told(serving.served.check_ready(0), serving.served.models)


inspections = APIRouter(prefix="/v1")


@inspections.post("/inspect")
async def inspect(request: Request, product: str = "", name: str = "") -> Response:
    """Judge a picture, or several in JSON."""
    serving = serving_by(request)
    serving.served.check_ready()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.headers.get("content-encoding", "identity") != "identity":
        raise bad("Content-Encoding: expected none, pictures are compressed already")
    if kind == JSON:
        uploads = await run_in_threadpool(bodies.instances, await request.body())
    elif kind.startswith("image/"):
        uploads = [Upload(await request.body(), product, bodies.as_name(name))]
    else:
        raise bad(f"Content-Type {kind!a:.60}: expected image/png and the like, or {JSON}")
    uploads = [serving.upload(one) for one in uploads]
    waiting = [asyncio.wrap_future(one) for one in serving.served.submit(uploads)]
    found = await asyncio.gather(*waiting, return_exceptions=True)
    if kind != JSON and isinstance(found[0], BaseException):
        raise found[0]
    pairs = zip(found, uploads, strict=True)
    told = [await run_in_threadpool(serving.outcome, *pair) for pair in pairs]
    opened = serving.served.check_ready(0).opened
    version = next((one["model"] for one in told if "model" in one), opened.name)
    return JSONResponse({"model_name": opened.site, "model_version": version, "predictions": told})


@inspections.get("/inspections")
def last(request: Request, last: int = 50) -> dict[str, Any]:
    """The last inspections, the newest first."""
    return {"inspections": [one.as_json() for one in serving_by(request).recent.last(last)]}


@inspections.get("/inspections/{id_}")
def one_inspection(request: Request, id_: str) -> dict[str, Any]:
    """One of the last inspections."""
    return serving_by(request).seen(id_).as_json()


@inspections.get("/inspections/{id_}/{kind}.png")
def picture(request: Request, id_: str, kind: str) -> Response:
    """One of an inspection's pictures."""
    content = serving_by(request).seen(id_).png(kind)
    if content is None:
        raise unknown(f"inspection {id_}: it has no {kind[:20]!a} (any more): {', '.join(KINDS)}")
    return Response(content, media_type="image/png")


verdicts = APIRouter(prefix="/v1")


@verdicts.post("/verdicts")
async def give_verdict(request: Request) -> dict[str, Any]:
    """Log what an operator says of a verdict."""
    given = await json_by(request)
    id_, word = (bodies.text_of(given, name, needed=True) for name in ("id", "verdict"))
    by = bodies.text_of(given, "by")
    return await run_in_threadpool(serving_by(request).operator, id_, word, by)


@verdicts.get("/verdicts")
def given_verdicts(request: Request, last: int = 50) -> dict[str, Any]:
    """What operators said last, the newest first."""
    return {"verdicts": verdict_log.last(serving_by(request).changes.log, min(last, 10_000))}


drift = APIRouter(prefix="/v1/drift")


@drift.get("")
def what_drifts(request: Request, product: str = "", since: str = "") -> dict[str, Any]:
    """Whether the line drifts, by the days that are over; of one product, or of all."""
    serving = serving_by(request)
    told = serving.drifting.ask(_day(since))["told"]
    if product:
        told = of_product(told, product)
        inspector = serving.served.inspector
        if not told["products"] and product not in (inspector.products if inspector else ()):
            raise unknown(f"product {product!a:.80}: the log has no inspection of it")
    with_charts = [
        {**one, "chart": f"/v1/drift/{quote(one['product'], safe='')}.svg"}
        for one in told["products"]
    ]
    return {**told, "products": with_charts}


@drift.get("/{product}.svg")
def chart(request: Request, product: str, theme: str = "light", since: str = "") -> Response:
    """A product's charts as a drawing, in the colours of the light or the dark page."""
    charts = serving_by(request).drifting.ask(_day(since))["charts"]
    if (found := charts.get(product, {}).get(theme)) is None:
        raise unknown(f"/v1/drift/{product!a:.80}.svg: there is no such chart in {theme!a:.20}")
    return Response(found, media_type=TYPES[".svg"])


def _day(text: str) -> str:
    """The first day that counts, or none.

    Raises:
        RefusedError: no day.
    """
    try:
        return f"{date.fromisoformat(text)}" if text else ""
    except ValueError:
        raise bad(f"since = {text!a:.40}: expected a day (UTC), as 2026-11-02") from None
