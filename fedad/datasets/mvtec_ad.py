"""MVTec AD: fifteen products and textures (Bergmann et al., 2019), and data like it.

    <category>/train/good/000.png
    <category>/test/{good,<defect>}/000.png
    <category>/ground_truth/<defect>/000_mask.png    one mask an image, 0 or 255, or of one bit

Download it from https://www.mvtec.com/company/research/datasets/mvtec-ad; fedad downloads nothing.
Numbers start anew in every folder, and a mask belongs to the image of its defect and number.

Licence: CC BY-NC-SA 4.0; a bank made from it inherits these terms.
"""

from fedad.datasets._tree import Reader
from fedad.datasets.layout import STEM_AND_MASK, Layout

__all__ = ["mvtec_ad"]

PRODUCTS = (
    *("bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut", "pill"),
    *("screw", "tile", "toothbrush", "transistor", "wood", "zipper"),
)

mvtec_ad = Reader(
    Layout(
        "mvtec_ad",
        "MVTec AD",
        licence="CC BY-NC-SA 4.0; a bank made from it inherits these terms",
        products=PRODUCTS,
        masks=STEM_AND_MASK,
        signs={
            "ground_truth/*/*_mask.*": 3,
            "ground_truth/*/*/*_mask.*": 3,  # in folders of batches
            "train/good": 1,
            "test/good": 1,
        },
    )
)
