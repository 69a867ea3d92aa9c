"""Score maps -> figures that can be trusted: exact, mergeable over sites, with their uncertainty.

A file here without a leading underscore is a metric: it exports one function `(ranked, limits)`
-> figures by key, and is found by its file name. `docs/metrics.md` says what the figures mean.

At a site: `Counts.of` each `Scored` image and add them up; `resample` for the intervals. At the
server: add the counts of all sites; `report` gives the figures, `curves` the ROC and FPR-sPRO.
"""

from fedad.metrics._binning import COARSE, FINE, Binning
from fedad.metrics._bootstrap import REPLICATES, bootstrap, resample
from fedad.metrics._breakdown import LIMITS, break_down_counts
from fedad.metrics._counts import Counts
from fedad.metrics._curves import curves
from fedad.metrics._evaluate import Evaluation, evaluate
from fedad.metrics._packing import pack, unpack
from fedad.metrics._plot import draw_fpr_spro
from fedad.metrics._quality import Decisions, Rate, decide, threshold
from fedad.metrics._report import report
from fedad.metrics._scored import Cell, Scored
from fedad.metrics._spro import spro_areas
from fedad.metrics._write import as_csv, table_rows, write_evaluation

__all__ = [
    "COARSE",
    "FINE",
    "LIMITS",
    "REPLICATES",
    "Binning",
    "Cell",
    "Counts",
    "Decisions",
    "Evaluation",
    "Rate",
    "Scored",
    "as_csv",
    "bootstrap",
    "break_down_counts",
    "curves",
    "decide",
    "draw_fpr_spro",
    "evaluate",
    "pack",
    "report",
    "resample",
    "spro_areas",
    "table_rows",
    "threshold",
    "unpack",
    "write_evaluation",
]
