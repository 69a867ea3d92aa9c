"""Five wires from a connector through a holder into a conduit, in one order of colours."""

from __future__ import annotations

import numpy as np

from fedad.drawing.canvas import Canvas, Colour, disc, dome
from fedad.drawing.flaws import burn, crack
from fedad.drawing.harness import (
    CONDUIT,
    CONNECTOR,
    HOLDER,
    PITCH,
    WIRES,
    black_connector,
    blue_connector,
    clamp,
    conduit,
    tape,
    tie,
    white_connector,
)
from fedad.drawing.part import Masks, Product, Reading, logical, structural
from fedad.drawing.texture import grain, tint, weather

_COLOURS: tuple[Colour, ...] = (
    (0.52, 0.045, 0.03),
    (0.60, 0.42, 0.03),
    (0.05, 0.28, 0.09),
    (0.05, 0.13, 0.45),
    (0.58, 0.58, 0.55),
)
_COPPER: Colour = (0.55, 0.27, 0.12)
_RADIUS = 0.045  # of a wire
_VARIANTS = ((black_connector, tie), (white_connector, tape), (blue_connector, clamp))

Lanes = dict[int, np.ndarray]  # wire -> its y at each pixel, (H, W)


def _draw(canvas: Canvas, variant: int, defect: str, rng: np.random.Generator) -> Masks:
    _plate(canvas, rng)
    planned = {wire: _lane(canvas, wire, rng) for wire in range(WIRES)}
    odd = int(rng.integers(WIRES - 1))  # the wire with a logical defect, and the one below it
    lanes = _reroute(canvas, planned, defect, odd, rng)
    layers = {
        wire: _wire(canvas, wire, lane, 0.0 if lane is planned[wire] else 0.05)
        for wire, lane in lanes.items()
    }
    connector, holder = _VARIANTS[variant]
    holder(canvas, rng)
    conduit(canvas)
    plugged = canvas.layers
    connector(canvas)
    masks = _missed(canvas, defect, planned, lanes, layers)
    masks |= _damage(canvas, defect, lanes, layers, connector=canvas.top > plugged, rng=rng)
    weather(canvas, rng)
    return masks


def _plate(canvas: Canvas, rng: np.random.Generator) -> None:
    """Sand-cast aluminium with a step at its rims and a threaded boss."""
    canvas.paint((0.33, 0.33, 0.34))
    canvas.metal[:] = 0.3
    canvas.height += 0.0035 * grain(canvas, 0.03, rng)
    tint(canvas, grain(canvas, 0.03, rng), 0.06)
    tint(canvas, grain(canvas, 0.4, rng), 0.05)
    canvas.height += 0.08 * np.clip((np.abs(canvas.y) - 0.86) / 0.03, 0, 1)
    boss, thread = disc(canvas, (-0.2, 0.66), 0.13), disc(canvas, (-0.2, 0.66), 0.055)
    canvas.lay(boss, (0.38, 0.38, 0.39), 0.05 + 0.02 * dome(boss, 0.03), gloss=0.3, metal=0.6)
    canvas.lay(thread, (0.02, 0.02, 0.02), -0.05, gloss=0)


def _lane(canvas: Canvas, wire: int, rng: np.random.Generator) -> np.ndarray:
    """(H, W): the wire's y at each x. The five close up at the holder and have play elsewhere."""
    squeeze = _slope(canvas.x, CONNECTOR + 0.05, HOLDER - 0.05)
    left, right = _bump(canvas.x, -0.2, 0.16), _bump(canvas.x, 0.42, 0.14)
    pitch = PITCH - 0.062 * squeeze + rng.uniform(0.0, 0.02) * right
    return (wire - (WIRES - 1) / 2) * pitch + rng.uniform(-0.022, 0.022) * (left + right)


def _slope(x: np.ndarray, start: float, end: float) -> np.ndarray:
    """0 at `start` to 1 at `end`, level at both."""
    t = np.clip((x - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def _bump(x: np.ndarray, middle: float, width: float) -> np.ndarray:
    return np.exp(-(((x - middle) / width) ** 2))


def _reroute(
    canvas: Canvas, planned: Lanes, defect: str, odd: int, rng: np.random.Generator
) -> Lanes:
    """The lanes as they are: two wires swapped at the connector, one absent, or one led astray."""
    if defect == "swapped":
        crossing = _slope(canvas.x, HOLDER - 0.12, CONNECTOR + 0.12)
        apart = crossing * (planned[odd + 1] - planned[odd])
        return planned | {odd: planned[odd] + apart, odd + 1: planned[odd + 1] - apart}
    if defect == "missing_wire":
        return {wire: lane for wire, lane in planned.items() if wire != odd}
    if defect == "misrouted":
        edge, side = (0, -1) if odd < WIRES // 2 else (WIRES - 1, 1)
        astray = side * rng.uniform(0.26, 0.34) * _bump(canvas.x, HOLDER, 0.24)
        return planned | {edge: planned[edge] + astray}
    return planned


def _wire(canvas: Canvas, wire: int, lane: np.ndarray, rise: float) -> int:
    """Draws a wire and returns its layer; a rerouted one rises above the others."""
    _, slope = np.gradient(lane, canvas.pixel)
    shape = np.abs(canvas.y - lane) / np.sqrt(1 + slope * slope) - _RADIUS
    relief = 0.04 + rise + 1.4 * _RADIUS * dome(shape, _RADIUS)
    return canvas.lay(shape, _COLOURS[wire], relief, gloss=0.3)


def _missed(
    canvas: Canvas, defect: str, planned: Lanes, lanes: Lanes, layers: dict[int, int]
) -> Masks:
    """What a logical defect leaves to see: wires that are wrong, and lanes that are empty."""
    changed = [wire for wire in planned if lanes.get(wire) is not planned[wire]]
    empty = (np.abs(canvas.y - planned[wire]) < 1.3 * _RADIUS for wire in changed)
    seen = [canvas.top == layers.get(wire, -1) for wire in changed]
    if defect == "swapped":
        crossing = (canvas.x > CONNECTOR) & (canvas.x < HOLDER - 0.2)
        return {"upper_wire": seen[0] & crossing, "lower_wire": seen[1] & crossing}
    if defect == "missing_wire":
        free = (canvas.x > CONNECTOR) & (canvas.x < CONDUIT)
        return {"missing_wire": next(empty) & free}
    if defect == "misrouted":
        away = _bump(canvas.x, HOLDER, 0.24) > 0.3
        return {"stray_wire": seen[0] & away, "empty_lane": next(empty) & away}
    return {}


def _damage(
    canvas: Canvas,
    defect: str,
    lanes: Lanes,
    layers: dict[int, int],
    *,
    connector: np.ndarray,
    rng: np.random.Generator,
) -> Masks:
    wire = int(rng.integers(WIRES))
    x = rng.choice((-0.22, 0.45)).item() + rng.uniform(-0.08, 0.08)
    match defect:
        case "crack":
            at = (CONNECTOR - rng.uniform(0.1, 0.25), rng.uniform(-0.25, 0.25))
            turn, length = rng.uniform(0, 180), rng.uniform(0.3, 0.4)
            mask = crack(canvas, connector, at, turn, length, rng=rng)
        case "cut":
            mask = _cut(canvas, canvas.top == layers[wire], x - 0.3 * (canvas.y - lanes[wire]), rng)
        case "burn":
            wires = np.isin(canvas.top, list(layers.values()))
            at = (x, rng.uniform(-0.2, 0.2))
            mask = burn(canvas, wires, at, rng.uniform(0.09, 0.13), rng=rng)
        case _:
            return {}
    return {defect: mask}


def _cut(
    canvas: Canvas, on: np.ndarray, middle: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Insulation that is cut around `middle` (H, W), so that copper strands show."""
    shape = np.abs(canvas.x - middle) - rng.uniform(0.03, 0.05)
    bare = on & (shape < 0)
    strands = np.sin(150 * canvas.x + 120 * canvas.y)
    canvas.lay(np.where(on, shape, 1), _COPPER, canvas.height - 0.02, gloss=0.6, metal=0.6)
    canvas.height -= 0.006 * bare * strands
    return bare


WIRING = Product(
    "wiring",
    structural("burn", 0.6)
    | structural("crack")
    | structural("cut")
    | logical("misrouted", stray_wire=Reading(0.6), empty_lane=Reading(0.3))
    | logical("missing_wire", missing_wire=Reading(0.4))
    | logical("swapped", upper_wire=Reading(0.4), lower_wire=Reading(0.4)),
    _draw,
)
