"""Score maps -> figures that can be trusted: exact, mergeable over sites, with their uncertainty.

The figures themselves are the files of `fedad/metrics/`. `docs/metrics.md` says what they mean.

At a site: `Counts.of` each `Scored` image and add them up; `resample` for the intervals. At the
server: add the counts of all sites; `summarise` gives the figures, `curves` the ROC and FPR-sPRO.
"""

from fedad.evaluation.binning import COARSE, FINE, Binning
from fedad.evaluation.breakdown import LIMITS, break_down_counts
from fedad.evaluation.counts import Counts
from fedad.evaluation.curve_tables import curves
from fedad.evaluation.evaluator import Evaluation, evaluate
from fedad.evaluation.looseness import loose
from fedad.evaluation.packing import ARRAYS, pack, unpack
from fedad.evaluation.plot import draw_fpr_spro
from fedad.evaluation.quality import Decisions, Rate, decide, least_rate, parts_for, threshold
from fedad.evaluation.resampling import REPLICATES, bootstrap, redrawn, resample, stacked
from fedad.evaluation.scored import Cell, Scored
from fedad.evaluation.spro import spro_areas
from fedad.evaluation.summary import summarise
from fedad.evaluation.write import as_csv, table_rows, write_evaluation

__all__ = [
    "ARRAYS",
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
    "least_rate",
    "loose",
    "pack",
    "parts_for",
    "redrawn",
    "resample",
    "spro_areas",
    "stacked",
    "summarise",
    "table_rows",
    "threshold",
    "unpack",
    "write_evaluation",
]
