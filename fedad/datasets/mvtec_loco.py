"""MVTec LOCO AD: five products with logical and structural anomalies (Bergmann et al., 2022).

    <category>/train/good/000.png
    <category>/validation/good/000.png                               not read: nothing is tuned
    <category>/test/{good,logical_anomalies,structural_anomalies}/000.png
    <category>/ground_truth/<defect>/000/000.png     one folder a test image, one file a channel
    <category>/defects_config.json                   pixel value -> saturation threshold

Download it from https://www.mvtec.com/company/research/datasets/mvtec-loco; fedad downloads
nothing. Headline figures are the mean of the logical and the structural ones.
"""

from collections.abc import Sequence
from pathlib import Path

from fedad.datasets._tree import mask_folder, read_tree
from fedad.types import Dataset

__all__ = ["mvtec_loco"]

LICENCE = "CC BY-NC-SA 4.0; a bank made from it inherits these terms"
KINDS = {"logical_anomalies": "logical", "structural_anomalies": "structural"}


def mvtec_loco(root: Path, *, categories: Sequence[str] = ()) -> Dataset:
    """The samples of a folder in MVTec LOCO's layout; `categories` empty means all.

    Raises:
        DataError: the folder, a category or `defects_config.json` is not as shown above.
    """
    return read_tree(
        "mvtec_loco",
        root,
        licence=LICENCE,
        categories=categories,
        kind=lambda defect: KINDS.get(defect, ""),
        masks=mask_folder,
    )
