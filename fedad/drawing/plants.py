"""The demo's plants: each has its own lamp, lens, sensor and camera stand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from fedad.drawing.canvas import Camera, Canvas
from fedad.drawing.light import Light, shade


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
        seen = shade(canvas, self._lamp(rng)) * self._falloff(canvas.size, rng)[..., None]
        blur = self.blur * canvas.size / 1000
        seen = ndimage.gaussian_filter(seen, (blur, blur, 0))
        level = np.sqrt(np.clip(seen, 0, 1))  # the gamma of a camera, rounded alike everywhere
        level += self.noise * rng.standard_normal(level.shape, np.float32)
        return np.round(255 * np.clip(level, 0, 1)).astype(np.uint8)

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
