"""What a site sends, before any of it is used: taken, or put aside with a word for why.

    <run>/quarantine/<site>-<stage>.json    the word, the sentence, and what was announced
    <run>/quarantine/<site>-<stage>.bin     the arrays' bytes, one after the other, never parsed

The site counts as missing, and the round goes on with the others (`round.min-sites`). A word never
depends on more than the message: what is refused once is refused again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from logging import WARNING
from pathlib import Path
from typing import Any, NamedTuple

from flwr.app import ConfigRecord, RecordDict
from flwr.supercore import log

from fedad import wire
from fedad.config import Config
from fedad.embedders.box import box_of
from fedad.embedders.handshake import Probe, check_features
from fedad.errors import FedadError, UploadError
from fedad.messages import envelope
from fedad.messages.schema import read_dataclass
from fedad.methods.base import method_of
from fedad.plumbing.files import is_name, write_atomic, write_json
from fedad.plumbing.parse import from_json
from fedad.plumbing.shown import for_log
from fedad.types import Fingerprint

FOLDER = "quarantine"
LONGEST = 300  # characters of a sentence about what a site sent
MOST_PRODUCTS = 1000
ABOUT = {
    "version",
    "train",
    "validation",
    "test",
    "withheld",
    "coverage",
    "fingerprint",
}  # what it may say
MEGABYTE = 1_000_000


class Introduction(NamedTuple):
    """Who a site says it is, what it has, and how it embeds."""

    name: str
    about: dict[str, Any]  # version, and images by category
    probe: Probe


class Door:
    """Lets in what a site of this run can have answered to what it was asked."""

    def __init__(self, config: Config, run: str, folder: Path | None) -> None:
        self.uploads = [kinds.upload for kinds in method_of(config).rounds]
        self.run, self.most = run, config.wire.largest_mb * MEGABYTE
        self.pixels = math.prod(box_of(config.embedder).canvas)
        self.folder = folder / FOLDER if folder else None
        self.virtual = False  # all sites are: a simulation, whose texts may be shown

    def check(self, content: RecordDict, site: str, stage: str) -> None:
        """Size first, then names, then the bond; nothing is parsed before these hold.

        Raises:
            UploadError: it is too large, has other fields, or is of another site, run or stage; or
                it is a refusal of the site's own.
        """
        if (size := envelope.size_of(content)) > self.most:
            raise UploadError(
                f"it sent {size / MEGABYTE:,.0f} MB, and wire.largest-mb = "
                f"{self.most / MEGABYTE:g}: raise it if its bank is as large",
                "size",
            )
        if wire.REFUSAL in content:
            envelope.check_refusal(content)
            raise UploadError(refusal_of(content, virtual=self.virtual), "refusal")
        envelope.check_fields(content, envelope.fields_of(stage, self.uploads), stage)
        envelope.check_bond(content, site, self.run, stage)

    def introduction(self, content: RecordDict) -> Introduction:
        """What a node says when it is asked who it is; whose name it may use is not decided here.

        Raises:
            UploadError: it does not say who it is and what it has, or not in this form.
        """
        said = content.config_records.get(wire.SITE, ConfigRecord())
        name = str(said.get("name", ""))
        self.check(content, name, envelope.HELLO)
        try:
            said = from_json(str(content.config_records["about"]["json"]))
            about = {"version": said["version"], **{k: _counts(said[k]) for k in ("train", "test")}}
            about["validation"] = _counts(said.get("validation", {}))
            if "coverage" in said:
                about |= _counts({"coverage": said["coverage"]})
            about["withheld"] = sorted(_counts(dict.fromkeys(said.get("withheld", []), 1)))
            if more := sorted({*said} - ABOUT):
                raise UploadError(f"it says {more[0]!a:.80} of itself", "fields")
            mark = read_dataclass("its fingerprint", Fingerprint, said["fingerprint"])
            features = wire.unpack_probe(content)
        except UploadError:
            raise
        except Exception as error:
            raise UploadError("it does not say who it is and what it has", "header") from error
        check_features(features)
        if not 1 <= mark.patches <= self.pixels:
            raise UploadError(f"an image of {mark.patches} patches", "fingerprint")
        if not isinstance(about["version"], str) or len(about["version"]) > 40:
            raise UploadError("its version is no short text", "header")
        return Introduction(name, about, Probe(mark, features))

    def refuse(self, site: str, stage: str, content: RecordDict, error: Exception) -> str:
        """Put a message aside, and return the word for why."""
        word = error.reason if isinstance(error, UploadError) else "content"
        log(WARNING, "refused what %s sent (%s): %s", printable(site), word, sentence(error))
        if self.folder is not None:
            self._keep(self.folder / f"{_file_name(site)}-{stage}", content, word, error)
        return word

    def _keep(self, path: Path, content: RecordDict, word: str, error: Exception) -> None:
        arrays = [(r, n, a) for r, held in content.array_records.items() for n, a in held.items()]
        told = [
            {
                "array": printable(f"{record}/{name}"),
                "kind": printable(array.dtype),
                "shape": [int(n) for n in array.shape[:9]],
                "bytes": len(array.data),
                "sha256": hashlib.sha256(array.data).hexdigest(),
            }
            for record, name, array in arrays[:99]
        ]
        kept = (
            b"".join(a.data for *_, a in arrays) if envelope.size_of(content) <= self.most else b""
        )
        write_json(
            path.with_suffix(".json"),
            {
                "reason": word,
                "told": sentence(error),
                "records": [printable(record) for record in list(content)[:99]],
                "arrays": told,
                "kept-bytes": len(kept),
            },
        )
        write_atomic(path.with_suffix(".bin"), kept)


def sentence(error: Exception) -> str:
    """What may be said of a message that cannot be used, on one line."""
    if isinstance(error, FedadError):
        return printable(str(error))
    return printable(f"what it sent does not fit ({type(error).__name__}: {error})")


def printable(text: object) -> str:
    """A foreign text on one line of bounded length."""
    return for_log(text, LONGEST)


def refusal_of(content: RecordDict, *, virtual: bool) -> str:
    """Why a site says that it cannot do what it was asked: in words of ours, unless it is virtual.

    A deployed site's text may name its files, and has no place at the server.
    """
    said = content.config_records[wire.REFUSAL]
    if virtual and (text := said.get("text")):
        return printable(text)
    words = [str(said[key]) for key, known in envelope.REFUSALS.items() if said.get(key) in known]
    return f"{' '.join(words) or 'it refuses'}, see its log"


def _counts(value: Mapping[str, Any]) -> dict[str, int]:
    """Images by category.

    Raises:
        ValueError, AttributeError: something else.
    """
    found = dict(value.items())
    for name, count in found.items():
        if type(count) is not int or not 0 <= count < 2**48:
            raise ValueError("no number of images")
        if not is_name(name):
            raise ValueError("no name of a product")
    if len(found) > MOST_PRODUCTS:
        raise ValueError("too many products")
    return found


def _file_name(site: str) -> str:
    """A name of letters, digits and dashes for whatever a site calls itself."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in site)[:64] or "nobody"
