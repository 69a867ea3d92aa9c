"""MVTec AD 2: eight products under several lights (Heckler-Kram et al., 2025).

    <category>/train/good/000_regular.png
    <category>/validation/good/000_regular.png              thresholds come from it
    <category>/test_public/{good,bad}/000_<light>.png       what is judged
    <category>/test_public/ground_truth/bad/000_<light>_mask.png
    <category>/test_private/000_regular.png                 not used: nobody has its labels
    <category>/test_private_mixed/000_mixed.png             not used: nobody has its labels

Lights are regular, overexposed, underexposed and shift_1 to shift_4; good and bad images share
names. Download it from https://www.mvtec.com/company/research/datasets/mvtec-ad-2; fedad downloads
nothing.

Licence: CC BY-NC-SA 4.0; a bank made from it inherits these terms.
"""

from fedad.datasets._tree import Reader
from fedad.datasets.layout import Layout, MaskRule

__all__ = ["mvtec_ad_2"]

PRIVATE = "a private test split: nobody has its labels"

mvtec_ad_2 = Reader(
    Layout(
        "mvtec_ad_2",
        "MVTec AD 2",
        licence="CC BY-NC-SA 4.0; a bank made from it inherits these terms",
        products=(
            *("can", "fabric", "fruit_jelly", "rice"),
            *("sheet_metal", "vial", "wallplugs", "walnuts"),
        ),
        test="test_public",
        defects=("bad",),
        aside=dict.fromkeys(("test_private", "test_private_mixed"), PRIVATE),
        masks=MaskRule("test_public/ground_truth/{defect}/{stem}_mask"),
        signs=dict.fromkeys(("test_public", "test_private", "test_private_mixed"), 5),
        stem="{:03d}_regular",
    )
)
