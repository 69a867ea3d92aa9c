"""MPDD: six painted metal parts (Jezek et al., 2021); MVTec AD's tree below one folder.

    MPDD/<category>/train/good/000.png
    MPDD/<category>/test/{good,<defect>}/000.png
    MPDD/<category>/ground_truth/<defect>/000_mask.png    one mask an image, 0 or 255

Download it from https://github.com/stepanje/MPDD; fedad downloads nothing. The folder `MPDD` may be
named, or the one that it lies in.

Licence: CC BY-NC-SA 4.0; a bank made from it inherits these terms.
"""

from fedad.datasets._tree import Reader
from fedad.datasets.layout import STEM_AND_MASK, Layout

__all__ = ["mpdd"]

mpdd = Reader(
    Layout(
        "mpdd",
        "MPDD",
        licence="CC BY-NC-SA 4.0; a bank made from it inherits these terms",
        products=(
            *("bracket_black", "bracket_brown", "bracket_white"),
            *("connector", "metal_plate", "tubes"),
        ),
        masks=STEM_AND_MASK,
        signs={
            "ground_truth/*/*_mask.*": 2,
            "ground_truth/*/*/*_mask.*": 2,
            "train/good": 0,
            "test/good": 0,
        },
        inside="MPDD",
    )
)
