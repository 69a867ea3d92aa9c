"""What a site keeps of every test image: it reads what it wrote, however far scores spread."""

import numpy as np

from fedad.evaluation import Cell, Counts, Scored, pack, stacked
from fedad.evaluation.packing import MOST_RESAMPLED
from fedad.reporting.per_image import Collector, read_per_image
from fedad.types import Region


def test_a_site_reads_what_it_kept_of_logits_of_several_products(tmp_path):
    """All images are one kind there: the bound on what travels, a kind of images, is not for it."""
    rng, kept = np.random.default_rng(0), Collector()
    for number, name in enumerate(("bolt", "hose", "plate")):
        sizes = np.exp2(rng.uniform(-20, 10, (64, 64)))
        half = Region(np.arange(64)[:, None] < np.full((64, 64), 32), 32 * 64)
        scored = Scored(sizes * rng.choice([-1, 1], (64, 64)), (half,), name, "dent")
        kept.names.append(f"{name}/{number}")
        kept.cells.append(Cell(name, "dent"))
        kept.numbers.append((float(number), 0.0))
        kept.counts.append(Counts.coarse(scored))
    lengths = pack(stacked(kept.counts, Cell("", "good")))[1]["lengths"]
    assert lengths.sum() > MOST_RESAMPLED
    kept.write(tmp_path)
    found = read_per_image(tmp_path)
    assert found.names == tuple(kept.names)
    for mine, theirs in zip(kept.counts, found.images(), strict=True):
        assert mine.images.line().bins.tolist() == theirs.images.line().bins.tolist()
        assert mine.pixels.line().values.sum() == theirs.pixels.line().values.sum()
