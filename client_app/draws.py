"""What is sealed with a receipt: the draws that a site's ledgers have to have a debit of."""

from __future__ import annotations

from pathlib import Path

from fedad import wire
from fedad.dp.account import Draw
from fedad.dp.receipts import receipt_from
from fedad.errors import DataError, FedadError
from fedad.messages.envelope import train_stage
from fedad.messages.file import about, checksum
from fedad.plumbing.parse import from_json

UPLOAD = "upload.safetensors"
RECEIPT = "receipt"  # in the header of a seal: what its draw costs
MADE_OF = "made-of"


def drawn(path: Path) -> Draw | None:
    """The draw that is sealed in a file; None if that has no receipt.

    Raises:
        DataError: it cannot be read as a whole.
    """
    told = about(path)
    if RECEIPT not in told:
        return None
    wire.load(path)  # which holds it against its checksum
    try:
        receipt = receipt_from(from_json(told[RECEIPT]))
    except (FedadError, ValueError) as error:
        raise DataError(f"{path}: its receipt cannot be read ({error})") from error
    return Draw(path.parent.name, _stage(path), told[MADE_OF], checksum(path), receipt)


def _stage(path: Path) -> str:
    """What `upload.safetensors` and `upload-2.safetensors` answer."""
    _, _, number = path.stem.partition("-")
    return train_stage(int(number or 1))
