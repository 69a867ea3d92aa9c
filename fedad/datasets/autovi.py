"""AutoVI: six products from Renault's assembly lines (Carvalho et al., 2024), and data like it.

    <category>/train/good/0000.png
    <category>/test/{good,<defect>}/0000.png
    <category>/ground_truth/<defect>/0000/0000.png   one folder a test image, one file a channel
    <category>/defects_config.json                   pixel value -> saturation threshold
    <category>/sites.csv                             optional: the natural site of each image

Download it from https://doi.org/10.5281/zenodo.10459003 (4 GB); fedad downloads nothing. Every PNG
of a mask folder is a defect channel, and the doubled `<category>/<category>/` that unzipping
leaves is read as it is. Counts are taken from disk: they differ from the paper's in pipe_staple.
Masks in the manner of MVTec AD, `ground_truth/<defect>/0000_mask.png`, are read as well.

Licence: CC BY-NC-SA 4.0; a bank made from it inherits these terms.
"""

from fedad.datasets._tree import Reader
from fedad.datasets.layout import CONFIG, FOLDER_OF_MASKS, Layout, MaskRule

__all__ = ["autovi"]

PRODUCTS = (
    *("engine_wiring", "pipe_clip", "pipe_staple"),
    *("tank_screw", "underbody_pipes", "underbody_screw"),
)

autovi = Reader(
    Layout(
        "autovi",
        "AutoVI",
        licence="CC BY-NC-SA 4.0; a bank made from it inherits these terms",
        products=PRODUCTS,
        masks=MaskRule(FOLDER_OF_MASKS, "listed"),
        config=CONFIG,
        signs={CONFIG: 4, "ground_truth/*/*/*.*": 2},
        stem="{:04d}",
    )
)
