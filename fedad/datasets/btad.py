"""BTAD, beanTech: three industrial products (Mishra et al., 2021).

    BTech_Dataset_transformed/<01|02|03>/train/ok/0000.bmp
    BTech_Dataset_transformed/<01|02|03>/test/{ok,ko}/0000.bmp
    BTech_Dataset_transformed/<01|02|03>/ground_truth/ko/0000.png    one mask an image, same number

Images end in .bmp in 01 and 03 and in .png in 02, masks in .png in 01 and 02 and in .bmp in 03;
good and bad images share numbers. Download it from http://avires.dimi.uniud.it/papers/btad/btad.zip;
fedad downloads nothing.

Licence: CC BY-NC-SA 4.0; a bank made from it inherits these terms.
"""

from fedad.datasets._tree import Reader
from fedad.datasets.layout import STEM, Layout

__all__ = ["btad"]

btad = Reader(
    Layout(
        "btad",
        "BTAD",
        licence="CC BY-NC-SA 4.0; a bank made from it inherits these terms",
        products=("01", "02", "03"),
        good=("ok",),
        defects=("ko",),
        masks=STEM,
        signs={"train/ok": 4, "test/ok": 4, "test/ko": 4},
        suffixes=(".bmp", ".png"),
        mask_suffix=".png",
        inside="BTech_Dataset_transformed",
        stem="{:04d}",
    )
)
