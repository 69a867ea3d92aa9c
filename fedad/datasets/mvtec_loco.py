"""MVTec LOCO AD: five products with logical and structural anomalies (Bergmann et al., 2022).

    <category>/train/good/000.png
    <category>/validation/good/000.png                               thresholds come from it
    <category>/test/{good,logical_anomalies,structural_anomalies}/000.png
    <category>/ground_truth/<defect>/000/000.png     one folder a test image, one file a channel
    <category>/defects_config.json                   pixel value -> saturation threshold

Download it from https://www.mvtec.com/company/research/datasets/mvtec-loco; fedad downloads
nothing. Headline figures are the mean of the logical and the structural ones.

Licence: CC BY-NC-SA 4.0; a bank made from it inherits these terms.
"""

from fedad.datasets._tree import Reader
from fedad.datasets.layout import CONFIG, FOLDER_OF_MASKS, Layout, MaskRule

__all__ = ["mvtec_loco"]

mvtec_loco = Reader(
    Layout(
        "mvtec_loco",
        "MVTec LOCO AD",
        licence="CC BY-NC-SA 4.0; a bank made from it inherits these terms",
        products=(
            *("breakfast_box", "juice_bottle", "pushpins"),
            *("screw_bag", "splicing_connectors"),
        ),
        masks=MaskRule(FOLDER_OF_MASKS, "listed"),
        kinds={"logical_anomalies": "logical", "structural_anomalies": "structural"},
        config=CONFIG,
        signs={"test/logical_anomalies": 5, "test/structural_anomalies": 5},
    )
)
