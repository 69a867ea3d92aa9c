"""A product's threshold set anew: by another wished rate, or by what operators said of parts since.

Neither changes a score, so that both need no image. A verdict counts for a model if the scores of
its product are those of the model that gave it, which is the same with other thresholds or with
other products: operators' words on other scores say nothing of these.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fedad.banks.bank import Bank
from fedad.banks.beside import plain_bank, plain_own
from fedad.banks.measured import measured
from fedad.config import Config
from fedad.errors import ConfigError, DataError
from fedad.judging.promise import Promise, promise
from fedad.judging.verdict_words import FALSE_ALARM, MISSED, NOK, OK, RIGHT
from fedad.messages.file import checksum
from fedad.models.adding import Added, keep
from fedad.models.changing import Now, opened_now
from fedad.models.checked import Checked, held_to
from fedad.models.gate import Gate
from fedad.models.kept import OWN, Kept
from fedad.plugins import did_you_mean
from fedad.plumbing.files import json_number
from fedad.plumbing.parse import from_json
from fedad.running.thresholds_file import Limits

GOOD = {(OK, RIGHT), (NOK, FALSE_ALARM)}  # the part is good
DEFECTIVE = {(OK, MISSED), (NOK, RIGHT)}

Line = Mapping[str, Any]  # of the log of operators' verdicts


def preview(kept: Kept, config: Config, product: str, rate: float) -> dict[str, Any]:
    """What a wished rate would make of a product's threshold, on the site's own pictures.

    Returns:
        product, rate, threshold (None: too few good parts), told, good_stopped of good, and
        defects_found of defects.

    Raises:
        ConfigError: a product without a threshold, or a rate that is none.
    """
    limits = _at_rate(config, _limits(kept, config, product), rate)
    told = {"product": product, "rate": rate, "threshold": json_number(limits.promise.threshold)}
    return {**told, "told": limits.promise.told(), **_counts(kept.checked(), product, limits)}


def rethreshold(models: Path, product: str, rate: float, gate: Gate) -> Added:
    """The current model with a product's threshold at another wished rate.

    Raises:
        ConfigError: a product without a threshold, or a rate that is none.
        DataError: too few good parts for the rate.
    """
    now = opened_now(models)
    limits = _at_rate(now.config, _limits(now.kept, now.config, product), rate)
    if not limits.promise.kept:
        raise DataError(f"{product}: {limits.promise.told()}")
    return _kept(now, product, limits, f"{product}: {rate:g} of good parts stopped", gate)


def preview_verdicts(
    kept: Kept, config: Config, product: str, lines: Iterable[Line]
) -> dict[str, Any]:
    """What operators' verdicts would make of a product's threshold (`judging/promise.py`).

    Args:
        lines: of the log, in the order of time: id, product, verdict (the model's), operator
            (right, false_alarm or missed), score and model.

    Returns:
        product, how many good parts were judged, how many of them stopped as the threshold moved,
        threshold (None: it would not be moved), told, the threshold before, defects_found of the
        known defects, which no threshold rests on, and how many lines are of other scores.
    """
    limits, judged = _limits(kept, config, product), judged_by(kept, product, lines)
    told = {"product": product, "judged": len(judged.good), "stopped": 0, "threshold": None}
    told |= {"told": judged.why_not, "before": json_number(limits.promise.threshold)}
    if not judged.why_not:
        limits = _moved(config, limits, judged)
        told |= {"stopped": limits.promise.stopped, "told": limits.promise.told()}
        told["threshold"] = json_number(limits.promise.threshold)
    shown = _counts(kept.checked(), product, limits, judged.defective)
    del shown["good"], shown["good_stopped"]
    return {**told, **shown, "not_counted": judged.others}


def recalibrate(models: Path, product: str, lines: Iterable[Line], gate: Gate) -> Added:
    """The current model with a product's threshold moved by operators' verdicts; see
    `preview_verdicts`.

    Raises:
        ConfigError: a product without a threshold.
        DataError: verdicts that say too little of how many good parts are stopped.
    """
    now = opened_now(models)
    limits, judged = _limits(now.kept, now.config, product), judged_by(now.kept, product, lines)
    if judged.why_not:
        raise DataError(f"{product}: {judged.why_not}")
    source = f"{product}: moved by {len(judged.good)} verdicts of operators"
    return _kept(now, product, _moved(now.config, limits, judged), source, gate)


@dataclass(frozen=True)
class Judged:
    """Of a product the scores of parts that operators judged, in the order of time: good ones, of
    which so many had passed, and defective ones. `others` are lines of other models' scores."""

    good: tuple[float, ...]
    passed: int
    defective: tuple[float, ...]
    others: int

    @property
    def why_not(self) -> str:
        """Why no threshold can be moved by them; empty where one can."""
        beside = f" ({self.others} lines are of other scores)" if self.others else ""
        if not self.good:
            return f"no operator called a part good that this model's scores are of{beside}"
        if not self.passed:
            return (
                f"all {len(self.good)} parts that operators called good had been stopped: judge "
                "parts that pass too, all or some drawn by lot, or nobody knows how many of the "
                f"good ones are stopped{beside}"
            )
        return ""


def read_log(path: Path) -> list[Line]:
    """The lines of a log of operators' verdicts, whoever wrote it.

    Raises:
        DataError: no such file, or a line that is no JSON.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    found = list[Line]()
    for number, line in enumerate(lines, start=1):
        try:
            found.append(dict(from_json(line)))
        except (ValueError, TypeError) as error:
            raise DataError(f"{path}: line {number}: no verdict as JSON ({error})") from error
    return found


def judged_by(kept: Kept, product: str, lines: Iterable[Line]) -> Judged:
    """What operators said of a product's parts; of one part that was judged twice the last word."""
    last = dict[Any, Line]()
    for line in lines:
        if line.get("product") == product:
            last.pop(line.get("id"), None)
            last[line.get("id")] = line
    alike, good, defective, passed, others = _alike(kept, product), [], [], 0, 0
    for line in last.values():
        said, score = (line.get("verdict"), line.get("operator")), _score(line.get("score"))
        if said not in GOOD | DEFECTIVE or math.isnan(score):
            continue
        if not alike(str(line.get("model", ""))):
            others += 1
        elif said in GOOD:
            good.append(score)
            passed += said[0] == OK
        else:
            defective.append(score)
    return Judged(tuple(good), passed, tuple(defective), others)


def _limits(kept: Kept, config: Config, product: str) -> Limits:
    limits = kept.limits(config)
    if product not in limits:
        said = f"product {product!r}{did_you_mean(product, limits)}"
        known = ", ".join(limits) or "none"
        raise ConfigError(f"{said}: model {kept.name} has thresholds of {known}")
    return limits[product]


def _at_rate(config: Config, limits: Limits, rate: float) -> Limits:
    if not 0 < rate < 1:
        raise ConfigError(f"rate {rate!r}: expected a share of good parts above 0 and below 1")
    return replace(limits, promise=promise(limits.good, replace(config.score, false_rejects=rate)))


def _moved(config: Config, limits: Limits, judged: Judged) -> Limits:
    knobs = replace(config.score, false_rejects=limits.promise.rate)
    moved: Promise = promise(limits.good, knobs, judged.good)
    if not moved.kept:
        raise DataError(f"no threshold to begin with: {moved.told()}")
    return replace(limits, promise=moved)


def _counts(
    found: Sequence[Checked], product: str, limits: Limits, more: Sequence[float] = ()
) -> dict[str, int]:
    """How many of the site's own pictures of a product a threshold would stop.

    Args:
        more: scores of further defective parts.
    """
    mine = [one for one in held_to(found, product, limits.threshold) if one.product == product]
    good = [one.stopped for one in mine if one.is_good]
    defects = [one.stopped for one in mine if not one.is_good]
    defects += [score > limits.promise.threshold for score in more]
    return {
        "good_stopped": sum(good),
        "good": len(good),
        "defects_found": sum(defects),
        "defects": len(defects),
    }


def _kept(now: Now, product: str, limits: Limits, source: str, gate: Gate) -> Added:
    contents = now.contents
    found = contents.found._replace(
        limits={**contents.found.limits, product: limits},
        checked=held_to(contents.found.checked, product, limits.threshold),
    )
    changed = replace(contents, found=found, source=source)
    return keep(now.kept.folder.parent, changed, gate)


def _score(value: Any) -> float:
    try:
        return float(value) if math.isfinite(float(value)) else math.nan
    except (TypeError, ValueError):
        return math.nan


def _alike(kept: Kept, product: str) -> Callable[[str], bool]:
    """Whether a product's scores by the model of a name are those by this one."""
    mine = cache(lambda: _scorer(kept, product))

    @cache
    def alike(name: str) -> bool:
        if name == kept.name:
            return True
        other = Kept(kept.folder.parent / name)
        if not name.isalnum() or not other.model_file.is_file():
            return False
        return _scorer(other, product) == mine()

    return alike


def _scorer(kept: Kept, product: str) -> str:
    """A digest of all that a product's scores hang on."""
    config, model = kept.open(kept.config())
    judging, digest = kept.judging(config, model), hashlib.sha256()
    digest.update(repr((config.score.scoring, config.score.q)).encode())
    digest.update(repr((config.score.neighbours, kept.own_judges())).encode())
    bank, own = plain_bank(judging.model), plain_own(judging.own)
    if bank is None or bank.scope == "mixed":
        files = [kept.model_file, kept.folder / OWN]
        digest.update(repr([checksum(one) for one in files if one.exists()]).encode())
        return digest.hexdigest()
    for one in (measured(bank), None if own is None else measured(own, bank)):
        if one is not None and product in one.categories:
            digest.update(_bytes_of(one.of_category(product)))
    return digest.hexdigest()


def _bytes_of(part: Bank) -> bytes:
    """What a product's rows are, whose, and in which order."""
    whose = repr([part.sites[number] for number in part.site.tolist()]).encode()
    return whose + np.ascontiguousarray(part.rows).tobytes() + part.row.tobytes()
