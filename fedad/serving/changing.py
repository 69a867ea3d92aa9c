"""The routes that change a model: thresholds, teaching, added normals, back and forth."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from fedad.images.reading import reading_of
from fedad.serving import bodies
from fedad.serving.asked import json_by, serving_by
from fedad.serving.refusals import unknown
from fedad.serving.state import Serving
from fedad.serving.teachings import ending_of
from fedad.types import Reading

thresholds = APIRouter(prefix="/v1")


@thresholds.get("/thresholds")
def preview(request: Request, product: str, rate: str) -> dict[str, Any]:
    """What a wished rate would make of a threshold."""
    return serving_by(request).changes.preview(product, bodies.rate_of({"rate": rate}))


@thresholds.post("/thresholds")
async def rethreshold(request: Request) -> dict[str, Any]:
    """Set a threshold by another wished rate."""
    serving, given = serving_by(request), await json_by(request)
    product, rate = bodies.text_of(given, "product", needed=True), bodies.rate_of(given)
    return await _changed(serving, partial(serving.changes.rethreshold, product, rate))


@thresholds.get("/calibrate")
def preview_verdicts(request: Request, product: str) -> dict[str, Any]:
    """What operators' verdicts would make of a threshold."""
    return serving_by(request).changes.preview_verdicts(product)


@thresholds.post("/calibrate")
async def recalibrate(request: Request) -> dict[str, Any]:
    """Move a threshold by operators' verdicts."""
    serving = serving_by(request)
    product = bodies.text_of(await json_by(request), "product", needed=True)
    return await _changed(serving, partial(serving.changes.recalibrate, product))


async def _changed(serving: Serving, change: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Change a model in a thread; answer once what came of it judges."""
    return await run_in_threadpool(lambda: serving.served.wait_for(change()))


teaching = APIRouter(prefix="/v1/teachings")


@teaching.post("")
async def begin(request: Request) -> dict[str, Any]:
    """Begin to collect pictures of a product."""
    product = bodies.text_of(await json_by(request), "product", needed=True)
    one = await run_in_threadpool(serving_by(request).teachings.begin, product.strip())
    return {"id": one.id}


@teaching.put("/{id_}/pictures")
async def add_picture(request: Request, id_: str, name: str = "") -> dict[str, Any]:
    """Add a good picture."""
    teachings, content = serving_by(request).teachings, await request.body()
    add = partial(teachings.add, reading=_reading(serving_by(request)))
    one = await run_in_threadpool(add, id_, content, bodies.as_name(name))
    told = one.as_json()
    return {name: told[name] for name in ("pictures", "enough_for")}


@teaching.post("/{id_}")
async def learn(request: Request, id_: str) -> Response:
    """Learn from the pictures that were collected."""
    rate = bodies.rate_of(await json_by(request))
    one = await run_in_threadpool(serving_by(request).teachings.learn, id_, rate)
    return JSONResponse(one.as_json(), 202)


@teaching.get("/{id_}")
def how_far(request: Request, id_: str) -> dict[str, Any]:
    """How a teaching stands."""
    return serving_by(request).teachings.get(id_).as_json()


@teaching.delete("/{id_}")
def forget(request: Request, id_: str) -> dict[str, Any]:
    """Drop a teaching."""
    serving_by(request).teachings.forget(id_)
    return {}


models = APIRouter(prefix="/v1")


@models.get("/normals")
def normals(request: Request) -> dict[str, Any]:
    """The pictures that were called good, beside the model."""
    return serving_by(request).changes.normals()


@models.post("/normals")
async def add_normal(request: Request) -> dict[str, Any]:
    """Put an inspected picture beside the model."""
    serving = serving_by(request)
    seen = serving.seen(bodies.text_of(await json_by(request), "id", needed=True))
    if (content := seen.content) is None:
        raise unknown(f"inspection {seen.id}: its picture is not in memory any more")
    name, product = str(seen.told["image"]), str(seen.told["product"])
    ending = await run_in_threadpool(ending_of, content, name, _reading(serving))
    add = partial(serving.changes.add_normal, content, ending, product, name)
    return {**await _changed(serving, add), **await run_in_threadpool(serving.changes.normals)}


@models.delete("/normals/{digest}")
async def remove_normal(request: Request, digest: str) -> dict[str, Any]:
    """Take one away again."""
    serving = serving_by(request)
    told = await _changed(serving, partial(serving.changes.remove_normal, digest))
    return {**told, **await run_in_threadpool(serving.changes.normals)}


@models.post("/models/{digest}/accept")
async def accept(request: Request, digest: str) -> dict[str, Any]:
    """Let a model judge that waits."""
    serving = serving_by(request)
    return await _changed(serving, partial(serving.changes.accept, digest))


@models.post("/rollback")
async def rollback(request: Request) -> dict[str, Any]:
    """Go back to the model before."""
    serving = serving_by(request)
    return await _changed(serving, serving.changes.rollback)


def _reading(serving: Serving) -> Reading:
    """How the model's files are read."""
    inspector = serving.served.inspector
    return reading_of(inspector.opened.config.data) if inspector else Reading()
