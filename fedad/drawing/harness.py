"""What holds the wires of the demo's wiring: connectors, holders, conduit, in three variants."""

from __future__ import annotations

import numpy as np

from fedad.drawing.canvas import Canvas, Colour, box, dome, hexagon
from fedad.drawing.texture import grain

WIRES = 5
PITCH = 0.15  # between two wires at the connector
CONNECTOR, HOLDER, CONDUIT = -0.52, 0.14, 0.70  # where they stand along x, the wires' direction
_BLACK: Colour = (0.035, 0.035, 0.038)


def black_connector(canvas: Canvas) -> None:
    """Black, with a latch in its middle and a collar for each wire."""
    _collars(canvas, (0.03, 0.03, 0.032))
    body = box(canvas, (-0.85, 0), (0.31, 0.43), 0.05)
    canvas.lay(body, _BLACK, 0.22 + 0.06 * dome(body, 0.06), gloss=0.4)
    latch = box(canvas, (-0.76, 0), (0.15, 0.13), 0.03)
    canvas.lay(latch, (0.045, 0.045, 0.048), 0.30 + 0.05 * dome(latch, 0.04), gloss=0.45)
    canvas.lay(box(canvas, (-0.80, 0), (0.04, 0.08), 0.01), (0.01, 0.01, 0.01), 0.26, gloss=0)


def white_connector(canvas: Canvas) -> None:
    """Natural polyamide with a chamber for each wire."""
    white = (0.60, 0.57, 0.48)
    body = box(canvas, (-0.88, 0), (0.35, 0.41), 0.03)
    canvas.lay(body, white, 0.20 + 0.03 * dome(body, 0.04), gloss=0.25)
    for y in _rows():
        chamber = box(canvas, (-0.70, y), (0.10, 0.045), 0.015)
        canvas.lay(chamber, (0.16, 0.15, 0.12), 0.14, gloss=0.1)
        tooth = box(canvas, (-0.70, y), (0.06, 0.02), 0.01)
        canvas.lay(tooth, white, 0.20 + 0.02 * dome(tooth, 0.02), gloss=0.25)


def blue_connector(canvas: Canvas) -> None:
    """Blue-grey and round-shouldered, with an orange lock bar."""
    _collars(canvas, (0.10, 0.13, 0.17))
    body = box(canvas, (-0.90, 0), (0.35, 0.45), 0.16)
    canvas.lay(body, (0.13, 0.18, 0.24), 0.20 + 0.14 * dome(body, 0.18), gloss=0.35)
    lock = box(canvas, (-0.70, 0), (0.055, 0.34), 0.03)
    canvas.lay(lock, (0.62, 0.20, 0.03), 0.34 + 0.04 * dome(lock, 0.03), gloss=0.35)


def _rows() -> list[float]:
    return [(wire - (WIRES - 1) / 2) * PITCH for wire in range(WIRES)]


def _collars(canvas: Canvas, colour: Colour) -> None:
    for y in _rows():
        collar = box(canvas, (CONNECTOR, y), (0.07, 0.06), 0.02)
        relief = 0.06 + 0.09 * dome(np.abs(canvas.y - y) - 0.06, 0.06)
        canvas.lay(collar, colour, relief, gloss=0.3)


def tie(canvas: Canvas, rng: np.random.Generator) -> None:
    """A white cable tie, its lock somewhere along it."""
    white = (0.60, 0.60, 0.56)
    band = box(canvas, (HOLDER, 0), (0.045, 0.245), 0.02)
    ridge = 0.15 + 0.03 * dome(np.abs(canvas.y) - 0.245, 0.1)
    canvas.lay(band, white, ridge + 0.01 * np.sin(110 * canvas.y), gloss=0.25)
    lock = box(canvas, (HOLDER, rng.uniform(-0.05, 0.05)), (0.075, 0.065), 0.02)
    canvas.lay(lock, white, 0.22 + 0.03 * dome(lock, 0.03), gloss=0.25)


def tape(canvas: Canvas, rng: np.random.Generator) -> None:
    """Black cloth tape, wound."""
    band = box(canvas, (HOLDER, 0), (0.19, 0.24), 0.02)
    wound = np.sin(45 * (canvas.x - HOLDER) + 12 * canvas.y)
    relief = 0.09 + 0.10 * dome(np.abs(canvas.y) - 0.24, 0.2) + 0.006 * wound
    cloth = relief + 0.003 * grain(canvas, 0.015, rng)
    canvas.lay(band, (0.045, 0.043, 0.042), cloth, gloss=0.08)


def clamp(canvas: Canvas, rng: np.random.Generator) -> None:
    """A steel clamp lined with rubber, screwed to the plate."""
    steel = (0.5, 0.5, 0.5)
    tab = box(canvas, (HOLDER, 0.35), (0.085, 0.14), 0.05)
    canvas.lay(tab, steel, 0.06, gloss=0.4, metal=0.8)
    arch = 0.07 + 0.12 * dome(np.abs(canvas.y) - 0.26, 0.2)
    rubber = box(canvas, (HOLDER, 0), (0.115, 0.255), 0.03)
    canvas.lay(rubber, (0.03, 0.03, 0.03), arch, gloss=0.1)
    band = box(canvas, (HOLDER, 0), (0.085, 0.265), 0.01)
    canvas.lay(band, steel, arch + 0.02, gloss=0.4, metal=0.8)
    bolt = hexagon(canvas, (HOLDER, 0.38), 0.06, rng.uniform(0, 60))
    canvas.lay(bolt, (0.5, 0.47, 0.38), 0.12 + 0.03 * dome(bolt, 0.03), gloss=0.5, metal=0.8)


def conduit(canvas: Canvas) -> None:
    """A corrugated black tube."""
    across = np.abs(canvas.y) - 0.27
    relief = 0.13 + 0.16 * dome(across, 0.27) + 0.015 * np.sin(55 * canvas.x)
    canvas.lay(np.maximum(CONDUIT - canvas.x, across), _BLACK, relief, gloss=0.35)
