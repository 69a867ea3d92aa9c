"""A model as one file that may be carried anywhere: what is in it, who signed it, how it is read.

    MODEL.fedad        a ZIP archive without compression
        manifest.json      format, and of each file its size and sha256
        signature.json     whose key signed the manifest, and the signature; not there without a key
        about.json         what the model was made from: no score, figure or image of the site's
        model.safetensors  the model as it was merged

What never leaves a site, its own rows and scores, is in none of these. A file is read with bounds
on every size, under no name but these, and into a folder of the reader's own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from fedad.errors import DataError
from fedad.messages.file import METHOD, READING, load_tensors
from fedad.models.kept import MODEL, Kept
from fedad.models.signature import LONGEST_SIGNATURE, SIGNATURE, Signed, Signer, verify
from fedad.plumbing.files import as_json_text, flush_folder, private_file, private_folder
from fedad.plumbing.parse import from_json

MANIFEST, ABOUT = "manifest.json", "about.json"
FORMAT = 1
LONGEST = {MANIFEST: 2**14, SIGNATURE: LONGEST_SIGNATURE, ABOUT: 2**20}  # bytes
LARGEST = 8 * 2**30  # bytes of a model
SHARED = ("made", "method", "products", "sites", "fingerprint", "licences", "version")
PIECE = 2**20
DATED = (1980, 1, 1, 0, 0, 0)  # of every entry: the same model makes the same bytes


class Brought(NamedTuple):
    """A model that came: its file, what is said of it, and who signed it, if anybody did."""

    file: Path
    about: dict[str, Any]
    signed: Signed | None


def write_archive(kept: Kept, out: Path, signer: Signer | None) -> None:
    """Write a model that a site keeps as one file, whole or not at all.

    Args:
        signer: the site's key; the file is not signed without one.

    Raises:
        DataError: the file is there already, or the model is not whole.
        OSError: the disk is full; then there is no file.
    """
    if out.exists():
        raise DataError(f"{out}: is there already: expected a new file")
    _check_shared(kept)
    about = as_json_text(shareable(kept.passport())).encode()
    files = {ABOUT: _entry(about), MODEL: _entry_of(kept.model_file)}
    manifest = json.dumps({"format": FORMAT, "files": files}, sort_keys=True).encode()
    texts = {MANIFEST: manifest, ABOUT: about}
    if signer is not None:
        texts[SIGNATURE] = signer.sign(manifest)
    part = private_folder(out.absolute().parent) / f".{uuid.uuid4().hex}.part"
    try:
        with private_file(part).open("wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                for name, text in sorted(texts.items()):
                    archive.writestr(_info(name), text)
                with (
                    kept.model_file.open("rb") as model,
                    archive.open(_info(MODEL), "w", force_zip64=True) as entry,
                ):
                    shutil.copyfileobj(model, entry, PIECE)
            file.flush()
            os.fsync(file.fileno())
        part.replace(out)
        flush_folder(out.absolute().parent)
    finally:
        part.unlink(missing_ok=True)


def _check_shared(kept: Kept) -> None:
    """Refuse a file that has more in it than a message may: what stays, or the images' digest.

    Raises:
        DataError: naming what; or the model is not whole.
    """
    _, model = kept.open(kept.config())
    tensors, header = model.pack()
    there, told = load_tensors(kept.model_file)
    if more := ({*there} - {*tensors}) | ({*told} - {*header, METHOD, READING}):
        raise DataError(f"{kept.model_file}: it has {min(more)}, which never leaves a site")


def shareable(passport: Mapping[str, Any]) -> dict[str, Any]:
    """What of a passport may leave: not how the site's own pictures were judged, where its files
    are, or what its release cost."""
    kept_by = passport.get("site", "")
    return {"kept_by": kept_by, **{key: passport[key] for key in SHARED if key in passport}}


def read_archive(path: Path, scratch: Path) -> Brought:
    """Read such a file; the model comes to lie in `scratch`, under its own name.

    Raises:
        DataError: it is none, or not whole, or its signature is not of what is in it.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            sizes = _checked(archive, path.stat().st_size)
            texts = {name: _read(archive, name) for name in sizes if name != MODEL}
            files = _files(texts[MANIFEST])
            signed = verify(texts[MANIFEST], texts[SIGNATURE]) if SIGNATURE in sizes else None
            if hashlib.sha256(texts[ABOUT]).hexdigest() != files[ABOUT]["sha256"]:
                raise ValueError(f"{ABOUT} is not what the manifest says")
            model = private_folder(scratch) / f"{_stem(path)}.safetensors"
            with archive.open(MODEL) as entry:
                _copy(entry, model, files[MODEL])
            return Brought(model, dict(from_json(texts[ABOUT])), signed)
    except (zipfile.BadZipFile, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise DataError(
            f"{path}: not a model as fedad model export writes it ({error}): was it cut short or "
            "changed?"
        ) from error


def _checked(archive: zipfile.ZipFile, size: int) -> dict[str, int]:
    """Each file's size: the names are ours, each stands once, and none is larger than the archive.

    Raises:
        ValueError: naming what is wrong.
    """
    listed = archive.infolist()
    if len(listed) > len(LONGEST) + 1:
        raise ValueError(f"{len(listed)} files in it")
    sizes: dict[str, int] = {}
    for one in listed:
        name, most = one.orig_filename, {**LONGEST, MODEL: LARGEST}.get(one.orig_filename)
        if most is None or name in sizes:
            raise ValueError(f"a file {name!a:.80} that does not belong there")
        if one.compress_type != zipfile.ZIP_STORED or one.flag_bits & 1:
            raise ValueError(f"{name} is compressed or encrypted")
        if one.file_size != one.compress_size or one.file_size > min(most, size):
            raise ValueError(f"{name} has {one.file_size:,} bytes")
        sizes[name] = one.file_size
    if missing := {MANIFEST, ABOUT, MODEL} - {*sizes}:
        raise ValueError(f"no {min(missing)} in it")
    return sizes


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as entry:
        text = entry.read(LONGEST[name] + 1)
    if len(text) > LONGEST[name]:
        raise ValueError(f"{name} is longer than it says")
    return text


def _files(manifest: bytes) -> dict[str, dict[str, Any]]:
    told = from_json(manifest)
    if told["format"] != FORMAT:
        raise ValueError(f"format {told['format']!a:.20}, expected {FORMAT}")
    return {name: dict(told["files"][name]) for name in (ABOUT, MODEL)}


def _copy(entry: IO[bytes], to: Path, told: Mapping[str, Any]) -> None:
    """A file out of the archive, held against the manifest while it is written."""
    digest, left = hashlib.sha256(), int(told["size"])
    with private_file(to).open("wb") as file:
        while piece := entry.read(PIECE):
            left -= len(piece)
            if left < 0:
                raise ValueError(f"{MODEL} is longer than the manifest says")
            digest.update(piece)
            file.write(piece)
    if left or digest.hexdigest() != told["sha256"]:
        raise ValueError(f"{MODEL} is not what the manifest says")


def _stem(path: Path) -> str:
    """What the model is called where it is kept: as the file is, by letters a name may have."""
    return "".join(mark for mark in path.stem if mark.isalnum() or mark in "-_.")[:60] or "model"


def _entry(text: bytes) -> dict[str, Any]:
    return {"size": len(text), "sha256": hashlib.sha256(text).hexdigest()}


def _entry_of(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"size": path.stat().st_size, "sha256": digest}


def _info(name: str) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name, DATED)
    made.external_attr = 0o600 << 16
    return made
