"""AutoVI: six products from Renault's assembly lines (Carvalho et al., 2024), and data like it.

    <category>/train/good/0000.png
    <category>/test/{good,<defect>}/0000.png
    <category>/ground_truth/<defect>/0000/0000.png   one folder a test image, one file a channel
    <category>/defects_config.json                   pixel value -> saturation threshold
    <category>/sites.csv                             optional: the natural site of each image

Download it from https://doi.org/10.5281/zenodo.10459003 (4 GB); fedad downloads nothing. Every PNG
of a mask folder is a defect channel, and the doubled `<category>/<category>/` that unzipping
leaves is read as it is. Counts are taken from disk: they differ from the paper's in pipe_staple.
"""

from collections.abc import Sequence
from pathlib import Path

from fedad.datasets._tree import mask_folder, read_tree
from fedad.types import Dataset

__all__ = ["autovi"]

LICENCE = "CC BY-NC-SA 4.0 for AutoVI itself; a bank made from it inherits these terms"


def autovi(root: Path, *, categories: Sequence[str] = ()) -> Dataset:
    """The samples of a folder in AutoVI's layout; `categories` empty means all.

    Raises:
        DataError: the folder, a category or `defects_config.json` is not as shown above.
    """
    return read_tree("autovi", root, licence=LICENCE, categories=categories, masks=mask_folder)
