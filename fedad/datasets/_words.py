"""What people call the folders of their pictures.

Capitals, spaces, dashes, dots and numbers at the ends do not count: `OK`, `o.k.` and
`01_Good parts` are all folders of good images.
"""

from __future__ import annotations

import re
from typing import Literal

Role = Literal["good", "bad", "train", "test", "validation", "masks", "batch", "other"]

_GOOD = {"good", "goods", "ok", "okay", "normal", "normals", "pass", "passed", "fine", "io", "gut"}
_GOOD |= {"healthy", "clean", "accepted", "accept", "conforming", "flawless", "intact", "nominal"}
_GOOD |= {"gutteile", "goodparts", "okparts", "defectfree", "nodefect", "nodefects", "faultless"}
_GOOD |= {"anomalyfree", "nonanomalous", "noanomaly", "nondefective", "nondefect", "undamaged"}
_GOOD |= {"buono", "buoni", "bueno", "buenos", "bon", "bons", "correct", "perfect", "bien", "bonne"}
_GOOD |= {"withoutdefect", "withoutdefects", "notdefective", "notdamaged", "notbroken"}
_GOOD |= {"conforme", "conformes", "unbroken", "uncracked", "良品", "合格", "正常", "合格品"}
_BAD = {"bad", "ng", "nok", "ko", "nio", "defect", "defects", "defective", "defectives", "faulty"}
_BAD |= {"anomaly", "anomalies", "anomalous", "abnormal", "reject", "rejects", "rejected", "fail"}
_BAD |= {"failed", "fault", "faults", "broken", "damaged", "damage", "notok", "notgood", "nogood"}
_BAD |= {"schlecht", "ausschuss", "scrap", "nonconforming", "error", "errors", "bads", "nokparts"}
_BAD |= {"iok", "malo", "malos", "mauvais", "difettoso", "defekt", "flaw", "flaws", "notnormal"}
_BAD |= {"nonconforme", "nonconformes", "不良", "不良品", "不合格", "異常", "异常", "缺陷", "欠陥"}
_TRAIN = {"train", "training", "trainset", "trainingset", "traindata"}
_TEST = {"test", "testing", "testset", "testdata", "tests", "eval", "evaluation", "testpublic"}
# What nobody has judged yet is of no defect.
_TEST |= {"testprivate", "testprivatemixed", "unlabelled", "unlabeled", "unsorted", "unclassified"}
_VALIDATION = {"val", "valid", "validation", "validationset", "valset", "dev"}
_MASKS = {"groundtruth", "gt", "mask", "masks", "groundtruths", "segmentation", "segmentations"}
_MASKS |= {"annotation", "annotations", "label", "labels", "maske", "masken", "groundtruthmasks"}
_PARTS = {
    "parts",
    "part",
    "images",
    "image",
    "imgs",
    "img",
    "samples",
    "pictures",
    "teile",
    "pieces",
}
_BATCH = re.compile(
    r"(batch|batches|lot|charge|los|series|serie|session|run|shift|schicht|day|tag|week|kw|images?"
    r"|imgs?|pictures?|photos?|fotos?|bilder|data|raw|jpe?g|png|bmp|tiff?|rgb)[ _.-]*\w{0,3}"
    r"|\d{4}[-_.]?[01]\d[-_.]?[0-3]\d\D?.*"
    r"|[0-3]?\d[-_.][01]?\d[-_.](\d\d){1,2}",
    re.IGNORECASE,
)


def role_of(name: str) -> Role:
    """What a folder of this name holds, as far as the name says.

    >>> [role_of(name) for name in ("O.K.", "not OK", "Training", "2024-01-05", "scratch")]
    ['good', 'bad', 'train', 'batch', 'other']
    """
    word = _bare(name)
    for role, names in _ROLES.items():
        if word in names or _without(word) in names:
            return role
    return "batch" if _BATCH.fullmatch(name.strip()) else "other"


def says_good(text: str) -> bool | None:
    """Whether a label of a table says that an image is good; None where it says neither."""
    plain = text.strip().casefold()
    if plain in ("0", "0.0", "false", "no", "none", ""):
        return True
    if plain in ("1", "1.0", "true", "yes"):
        return False
    role = role_of(text)
    return True if role == "good" else False if role == "bad" else None


_ROLES: dict[Role, set[str]] = {
    "good": _GOOD,
    "bad": _BAD,
    "train": _TRAIN,
    "test": _TEST,
    "validation": _VALIDATION,
    "masks": _MASKS,
}


def _bare(name: str) -> str:
    letters = "".join(letter for letter in name.casefold() if letter.isalnum())
    return letters.strip("0123456789") or letters


def _without(word: str) -> str:
    """`goodparts` -> `good`, `okimages` -> `ok`."""
    for part in _PARTS:
        if word.endswith(part) and len(word) > len(part):
            return word.removesuffix(part)
    return word
