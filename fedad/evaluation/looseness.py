"""Which headline figures the bins of scores leave open, for a record and a page to warn of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LOOSE = 0.005  # the bound of a figure, above which it is warned of
HEADLINES = {"image_auroc": "image AUROC", "auc_spro_0.05": "AUC-sPRO@0.05"}


def loose(report: Mapping[str, Any]) -> list[str]:
    """A sentence for each headline figure whose bound is above .005 in some category.

    Args:
        report: as `summarise` gives it, or as a record holds it.
    """
    found = []
    for key, name in HEADLINES.items():
        bounds = {
            category: told["figures"].get(key, {}).get("bound")
            for category, told in report["categories"].items()
        }
        wide = {category: bound for category, bound in bounds.items() if (bound or 0) > LOOSE}
        if wide:
            found.append(
                f"{name} of {', '.join(wide)} is known to {max(wide.values()):.2g} only: scores "
                "are equal, or closer together than the bins they are counted in; a method should "
                "centre its scores, such as by subtracting a public constant (docs/metrics.md)"
            )
    return found
