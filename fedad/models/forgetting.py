"""A run's bank as it would be without a site or an image: merged anew from uploads that were kept.

Leaving rows out of the bank would not do: which rows of the others are in it depended on those.
Where the uploads are gone, forgetting is refused. Without an image the site that has it learns
again, and what it then uploads takes the place of what it gave. Beside the new bank stands a
statement of what was forgotten, signed where there is a key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fedad import __version__
from fedad.banks.bank import Bank
from fedad.config import COVERAGE, KEEP_DAYS, Config, RoundKnobs, read
from fedad.errors import ConfigError, DataError
from fedad.messages.file import checksum, load, save
from fedad.messages.payload import Payload
from fedad.methods.base import Round, Turn, method_of
from fedad.models.signature import Signer
from fedad.plumbing.files import as_json_text, write_atomic
from fedad.plumbing.journal import Event, events_of
from fedad.plumbing.moments import utc_text
from fedad.privacy.base import is_private
from fedad.round import fit, merge
from fedad.running.model_file import as_read
from fedad.types import Sample

STATEMENT, SIGNED = ".forgotten.json", ".forgotten.signature.json"
SERVER_KEY = "superlink.key"
FORMAT = "fedad forgotten 1"


class Forgotten(NamedTuple):
    """The bank without what was forgotten, the statement of it, and who signed that."""

    model: Payload
    statement: Path
    signed_by: str  # empty: nobody


class Run(NamedTuple):
    """A finished run at the server: its configuration, and what each site gave to its bank."""

    folder: Path
    config: Config
    merged: list[Event]  # one a round
    given: Mapping[str, Event]  # uploads of the last round, by site

    @property
    def last(self) -> Round:
        return method_of(self.config).rounds[-1]


def signer_at(keys: Path) -> Signer:
    """Whose key signs: the server's, of the certificate that it shows every site, or a site's.

    Args:
        keys: the folder of either, as `fedad certs` makes it.

    Raises:
        DataError: there is no such key.
    """
    if not (path := keys / SERVER_KEY).is_file():
        return Signer.at(keys)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: expected the server's private key ({error})") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise DataError(f"{path}: expected a key of the kind that fedad certs makes")
    return Signer("server", key)


def forget(
    run: Path, site: str, out: Path, *, refit: Path | None = None, signer: Signer | None = None
) -> Forgotten:
    """Merge the bank of a finished run without a site, and write it to `out`.

    Args:
        refit: the site's bank without an image, in place of the one that it gave: then the site
            stays.
        signer: whose key signs the statement.

    Raises:
        DataError: no such run, a site that gave it nothing, or uploads that are gone or changed.
        ConfigError: the sites would have to be asked anew, or no site is left.
    """
    opened = _opened(run)
    if site not in opened.given:
        known = ", ".join(sorted(opened.given)) or "no site"
        raise DataError(f"{run}: {site!r} gave nothing to its bank, which is of {known}")
    if refit is not None:
        upload = _refitted(opened, site, refit)
        what = {"site": site, "refitted": checksum(refit)}
        return _written(opened, site, upload, out, what=what, signer=signer)
    if len(opened.given) == 1:
        raise ConfigError(f"{run}: without {site} no site is left: delete the run's folder instead")
    return _written(opened, site, None, out, what={"site": site}, signer=signer)


def forget_image(run: Path, image: Path, out: Path, signer: Signer | None = None) -> Forgotten:
    """Let the site of a simulation that has an image learn without it, and merge the bank anew.

    Raises:
        DataError: none of the run's sites learned from it, or their images are not here.
        ConfigError: a method that asks all sites more than once, or a private release.
    """
    opened = _opened(run)
    config = opened.config
    if len(method_of(config).rounds) > 1 or is_private(config):
        raise ConfigError(
            f"{run}: round.method = {config.round.method!r} in {len(opened.merged)} rounds with "
            f"privacy.release = {config.privacy.release!r}: expected one round without a private "
            "release, of which the site's part can be made again: run it again without the image"
        )
    if not (run / "sites").is_dir():
        raise DataError(
            f"{run}: the images of its sites are not here: at the site, take the image away, build "
            "its bank again by the run's knobs (fedad bank build), and name that file here with "
            "--site and --refit"
        )
    from fedad.embedders.embedder import Embedder  # and a network, which no merge takes
    from fedad.judging.parts import ready
    from fedad.running.launch import sites_of

    embed = Embedder(config.embedder)
    for drawn in sites_of(config):
        if not any(_is(one, image) for one in drawn.train):
            continue
        site = ready(config, drawn, embed).site
        left = tuple(one for one in site.train if not _is(one, image))
        if drawn.name not in opened.given or len(left) == len(site.train):
            break
        gone = {one.category for one in site.train} - {one.category for one in left}
        if gone:
            raise DataError(
                f"{image}: it is the only good image of {min(gone)} at {site.name}: forget the "
                f"site instead, with --site {site.name}"
            )
        upload = fit(config, replace(site, train=left), embed).upload
        digest = hashlib.sha256(image.read_bytes()).hexdigest()
        what = {"site": site.name, "image": image.name, "image_sha256": digest}
        return _written(opened, site.name, upload, out, what=what, signer=signer)
    raise DataError(f"{image}: no site of {run} has learned from it")


def _opened(folder: Path) -> Run:
    """A run that has finished, and whose bank follows from its uploads alone."""
    events = events_of(folder)
    config = read({**events[0]["config"], "round.resume": False})
    if config.merge.weighting == COVERAGE:
        raise ConfigError(
            f"{folder}: its sites were weighed by merge.weighting = {COVERAGE!r}, for which they "
            "would have to be asked anew: run it again without the site"
        )
    rounds = method_of(config).rounds
    merged = [one for one in events if one["event"] == "merged"]
    if len(merged) < len(rounds):
        raise DataError(f"{folder}: the run has not finished: it has no last bank yet")
    uploads = {
        one["site"]: one
        for one in events
        if one["event"] == "uploaded" and one["round"] == len(rounds)
    }
    given = {name: one for name, one in uploads.items() if name in merged[-1]["sites"]}
    return Run(folder, config, merged, given)


def _refitted(run: Run, site: str, file: Path) -> Payload:
    """A site's bank without an image, if it can be that."""
    upload, before = load(file, run.last.upload), load(_whole(run, site), run.last.upload)
    if not isinstance(upload, Bank) or not isinstance(before, Bank) or upload.sites != (site,):
        raise DataError(f"{file}: expected a bank of {site} alone, as fedad bank build writes it")
    was, is_now = (
        dict(zip(one.categories, one.images[0].tolist(), strict=True)) for one in (before, upload)
    )
    more = [name for name, count in is_now.items() if count > was.get(name, 0)]
    if more or sum(is_now.values()) >= sum(was.values()):
        raise DataError(
            f"{file}: it stands for {is_now} images, and {site} gave the run {was}: expected fewer "
            "of them"
        )
    return upload


def _written(
    run: Run,
    site: str,
    upload: Payload | None,
    out: Path,
    *,
    what: Mapping[str, Any],
    signer: Signer | None,
) -> Forgotten:
    """The bank without a site's upload, or with another one of it, and the statement beside it."""
    rest = {name: load(_whole(run, name), run.last.upload) for name in run.given if name != site}
    uploads = {**rest, **({site: upload} if upload is not None else {})}
    before = None
    if len(run.merged) > 1:
        before = load(_file(run.folder, run.merged[-2]), method_of(run.config).rounds[-2].model)
    model: Payload = merge(run.config, [*uploads.values()], Turn(len(run.merged), before))
    about = as_read(run.config)
    save(out, model, private=False, method=run.config.round.method, **about)
    told = {
        "format": FORMAT,
        "run": run.folder.resolve().name,
        "forgotten": dict(what),
        "bank_before": run.merged[-1]["sha256"],
        "bank": checksum(out),
        "uploads": {name: run.given[name]["sha256"] for name in sorted(rest)},
        "made": utc_text(),
        "version": __version__,
    }
    statement = out.with_name(out.name + STATEMENT)
    text = as_json_text(told)
    write_atomic(statement, text)
    signed = out.with_name(out.name + SIGNED)
    signed.unlink(missing_ok=True)  # of a statement that was there before
    if signer is not None:
        write_atomic(signed, signer.sign(f"{FORMAT}\n{text}".encode()))
    return Forgotten(model, statement, signer.site if signer else "")


def _whole(run: Run, site: str) -> Path:
    """A site's upload as it was then."""
    return _file(run.folder, run.given[site])


def _file(run: Path, event: Event) -> Path:
    """The file that the journal names, as it was then."""
    path = run / event["file"]
    if not path.is_file():
        days = events_of(run)[0]["config"].get(KEEP_DAYS, RoundKnobs.keep_days)
        raise DataError(
            f"{path}: this upload was not kept, so that the bank cannot be merged without a site: "
            f"uploads of banks are, for round.keep-days = {days} of that run"
        )
    if checksum(path) != event["sha256"]:
        raise DataError(f"{path}: not the file that the journal names: was it changed?")
    return path


def _is(sample: Sample, image: Path) -> bool:
    """Whether a sample is the image in a file, or a copy of it."""
    if not image.is_file():
        raise DataError(f"{image}: there is no such file, expected an image of a site")
    if sample.path.stat().st_size != image.stat().st_size:
        return False
    return sample.path.samefile(image) or sample.path.read_bytes() == image.read_bytes()
