"""VisA: twelve objects, also of several parts (Zou et al., 2022), as downloaded and reorganised.

    split_csv/1cls.csv                           object,split,label,image,mask: the only record of
                                                 which image is of which split
    <category>/image_anno.csv                    image,label,mask: what each defect is called;
                                                 labels may be quoted lists
    <category>/Data/Images/{Normal,Anomaly}/000.JPG
    <category>/Data/Masks/Anomaly/000.png        small whole numbers, one a class of defect,
                                                 each of which is a region of its own

    1cls/<category>/train/good/0000.JPG          after its own prepare_data.py
    1cls/<category>/test/{good,bad}/0000.JPG
    1cls/<category>/ground_truth/bad/000.png     0 or 255, of the same number

Numbers of good images have 3 or 4 digits. Download it from
https://github.com/amazon-science/spot-diff; fedad downloads nothing. Credit: Amazon.com, Inc.

Licence: CC BY 4.0.
"""

from fedad.datasets._tree import Reader
from fedad.datasets.layout import STEM, Layout, MaskRule

__all__ = ["visa"]

LICENCE = "CC BY 4.0: Amazon.com, Inc.; Zou et al., ECCV 2022"
PRODUCTS = (
    *("candle", "capsules", "cashew", "chewinggum", "fryum", "macaroni1", "macaroni2"),
    *("pcb1", "pcb2", "pcb3", "pcb4", "pipe_fryum"),
)

visa = Reader(
    Layout(
        "visa",
        "VisA",
        licence=LICENCE,
        products=PRODUCTS,
        image="Data/Images/{defect}/{stem}",
        good=("Normal",),
        defects=("Anomaly",),
        masks=MaskRule("Data/Masks/{defect}/{stem}", "classes"),
        table="split_csv/1cls.csv",
        labels="image_anno.csv",
        signs={"Data/Images": 5},
        suffixes=(".JPG",),
    ),
    Layout(
        "visa",
        "VisA",
        licence=LICENCE,
        products=PRODUCTS,
        defects=("bad",),
        masks=STEM,
        signs={"ground_truth/bad/*.*": 2},
        suffixes=(".JPG",),
        inside="1cls",
    ),
)
