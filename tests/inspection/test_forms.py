"""One picture in every form that cameras and other programs write: the same verdict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fedad.errors import BadFileError
from fedad.judging.verdict_words import AGAIN, NOK


@pytest.fixture(scope="module")
def grey(plants):
    """A blotted bolt without colours (H, W) uint8."""
    with Image.open(sorted((plants / "bolt/test/blot").iterdir())[0]) as image:
        return np.asarray(image.convert("L"))


def saved(image: Image.Image, path: Path, **how: object) -> Path:
    image.save(path, **how)
    return path


def forms(pixels: np.ndarray, folder: Path) -> dict[str, Path]:
    """The picture as files of other depths, channels and containers."""
    image = Image.fromarray(pixels)
    deep = Image.fromarray(pixels.astype(np.uint16) * 257)
    clear = image.convert("RGBA")
    clear.putalpha(Image.fromarray(np.full_like(pixels, 7)))
    tag = Image.Exif()
    tag[0x112] = 6  # lie on its side: not followed unless data.orientation says so
    return {
        "8 bits": saved(image, folder / "a.png"),
        "16 bits": saved(deep, folder / "b.png"),
        "16 bits, TIFF": saved(deep, folder / "c.tiff"),
        "LZW": saved(image, folder / "d.tif", compression="tiff_lzw"),
        "opacity": saved(clear, folder / "e.png"),
        "grey and opacity": saved(clear.convert("LA"), folder / "f.png"),
        "palette": saved(image.convert("P"), folder / "g.png"),
        "BMP": saved(image, folder / "h.bmp"),
        "a tag that turns": saved(image.convert("RGB"), folder / "i.png", exif=tag),
        "an ending in capitals": saved(image, folder / "J.PNG"),
        "another's ending": saved(image, folder / "k.jpg", format="PNG"),
    }


def test_every_form_without_loss_has_one_verdict(grey, inspector, tmp_path):
    found = {name: inspector.inspect(path, "bolt") for name, path in forms(grey, tmp_path).items()}
    scores = {name: one.score for name, one in found.items()}
    assert set(scores.values()) == {scores["8 bits"]}, scores
    assert len({one.verdict for one in found.values()}) == 1


def test_colours_of_printers_and_little_loss_change_little(grey, inspector, tmp_path):
    image = Image.fromarray(grey).convert("RGB")
    usual = inspector.inspect(np.asarray(image), "bolt")
    for name, path in {
        "CMYK": saved(image.convert("CMYK"), tmp_path / "a.jpg", quality=98),
        "progressive": saved(image, tmp_path / "b.jpg", quality=98, progressive=True),
        "grey": saved(image.convert("L"), tmp_path / "c.jpeg", quality=98),
    }.items():
        one = inspector.inspect(path, "bolt")
        assert one.score == pytest.approx(usual.score, rel=0.1), name
        assert one.size == grey.shape


def test_a_uniform_picture_is_no_part(inspector):
    for value in (0, 255):
        one = inspector.inspect(np.full((60, 72, 3), value, np.uint8), "bolt")
        assert one.verdict in (AGAIN, NOK)
        assert np.isfinite(one.score)


def test_what_is_too_large_is_refused_before_it_is_decoded(inspector, tmp_path):
    path = saved(Image.new("1", (20_000, 20_000)), tmp_path / "a.png")
    with pytest.raises(BadFileError, match="expected at most"):
        inspector.inspect(path, "bolt")
