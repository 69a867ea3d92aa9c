"""Score maps -> figures that can be trusted: exact, mergeable over sites, with their uncertainty.

A file here without a leading underscore is a metric: it exports one function `(ranked, limits)`
-> figures by key, and is found by its file name. `docs/metrics.md` says what the figures mean.

At a site: `Counts.of` each `Scored` image and add them up; `resample` for the intervals. At the
server: add the counts of all sites; `report` gives the figures, `curves` the ROC and FPR-sPRO.
"""

from fedad.evaluation.binning import COARSE, FINE, Binning
from fedad.evaluation.bootstrap import REPLICATES, bootstrap, resample
from fedad.evaluation.breakdown import LIMITS, break_down_counts
from fedad.evaluation.counts import Counts
from fedad.evaluation.curves import curves
from fedad.evaluation.evaluate import Evaluation, evaluate
from fedad.evaluation.packing import pack, unpack
from fedad.evaluation.plot import draw_fpr_spro
from fedad.evaluation.quality import Decisions, Rate, decide, threshold
from fedad.evaluation.report import report
from fedad.evaluation.scored import Cell, Scored
from fedad.evaluation.spro import spro_areas
from fedad.evaluation.write import as_csv, table_rows, write_evaluation

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
