"""The plants of drawn sets: each has its own lamp, lens, sensor and camera stand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedad.drawing.canvas import Camera, Canvas
from fedad.drawing.fields import softened
from fedad.drawing.light import Light, shade
from fedad.seeding import stream


@dataclass(frozen=True)
class Plant:
    """What all images of a plant have in common; single shots scatter around it."""

    name: str
    light: Light
    camera: Camera
    blur: float  # of the lens, in thousandths of the image's width
    noise: float  # of the sensor, of the range 0 to 1
    vignette: float  # light lost in the corners

    def aim(self, rng: np.random.Generator) -> Camera:
        """The camera of one shot: no part lies twice in the same place."""
        x, y = self.camera.shift
        return Camera(
            (x + rng.uniform(-0.035, 0.035), y + rng.uniform(-0.035, 0.035)),
            self.camera.turn + rng.uniform(-1.5, 1.5),
            self.camera.zoom * rng.uniform(0.98, 1.02),
        )

    def expose(self, canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
        """(H, W, 3) uint8: the canvas under this plant's lamp, through its lens and sensor."""
        seen = shade(canvas, self._lamp(rng)) * self._falloff(canvas.size, rng)
        seen = softened(seen, self.blur * canvas.size / 1000)
        level = np.sqrt(np.clip(seen, 0, 1))  # the gamma of a camera, rounded alike everywhere
        level += self.noise * rng.standard_normal(level.shape, np.float32)
        level *= 255
        level += 0.5
        return np.clip(level, 0, 255.5).astype(np.uint8).transpose(1, 2, 0)

    def _lamp(self, rng: np.random.Generator) -> Light:
        return Light(
            self.light.azimuth + rng.uniform(-15, 15),
            self.light.elevation + rng.uniform(-5, 5),
            self.light.colour,
            self.light.strength * rng.uniform(0.85, 1.15),
        )

    def _falloff(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """(H, W): the lens is darker in its corners, the lamp on its far side."""
        x = np.linspace(-1, 1, size, dtype=np.float32)
        y = x[:, None]
        lamp = 1 + rng.uniform(-0.08, 0.08) * x + rng.uniform(-0.08, 0.08) * y
        return lamp * (1 - self.vignette * (x * x + y * y) / 2)


PLANTS = (
    Plant("graz", Light(215, 45, (1.0, 1.0, 1.0), 1.0), Camera(), 2.0, 0.012, 0.25),
    Plant(
        "lyon",
        Light(300, 40, (1.06, 1.0, 0.88), 1.0),
        Camera((0.05, -0.04), 2.0, 0.97),
        2.8,
        0.010,
        0.10,
    ),
    Plant(
        "turin",
        Light(260, 38, (0.94, 1.0, 1.04), 1.05),
        Camera((-0.04, 0.05), -2.0, 1.04),
        2.2,
        0.016,
        0.30,
    ),
)


def plants(count: int) -> tuple[Plant, ...]:
    """The first `count` plants: the demo's three, then others of the same kind."""
    more = (_another(number) for number in range(len(PLANTS), count))
    return (*PLANTS[:count], *more)


def _another(number: int) -> Plant:
    """The same plant in every drawing, whatever its seed."""
    rng = stream(0, "draw", "plant", str(number))
    warm = rng.uniform(-0.06, 0.06)
    return Plant(
        f"plant-{number + 1:02d}",
        Light(
            rng.uniform(200, 320),
            rng.uniform(36, 46),
            (1.0 + warm, 1.0, 1.0 - 1.5 * warm),
            rng.uniform(0.95, 1.05),
        ),
        Camera(
            (rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.05)),
            rng.uniform(-2, 2),
            rng.uniform(0.97, 1.04),
        ),
        rng.uniform(2.0, 2.8),
        rng.uniform(0.010, 0.016),
        rng.uniform(0.1, 0.3),
    )
