"""What a site lets a run do: a file on the site's own disk, which no run can change.

    apps = ["3f1c..."]               # sha256 of the apps that may run; else the installed fedad's
    categories = ["bolt"]            # the only products that a run may be given anything of
    configurations = ["91ab..."]     # exact configurations; else the bounds below hold
    shallowest-layer = "layer2"      # of embedder.layers and embedder.grid
    smallest-pool = 3
    largest-size = 384
    largest-untried-size = 256       # with another backbone, layers, grid, pool than shipped
    largest-local-ratio = 0.1
    largest-rows-an-image = 110
    backbones = [...]                # as selections, aggregations, methods, releases
    requires-privacy = false         # and bounds of private releases: `docs/policy.md`
    largest-upload-mb = 200          # the most that one answer may hold
    runs-a-day = 4                   # of a product, that may begin within 24 hours
    coverage-a-day = 2               # distances to a bank, of a product
    smallest-group = 5               # images behind each number that leaves
    smallest-batch = 256             # patches behind a step of a method that trains
    largest-federation = 32          # sites that a bank may name

A line that is left out, or a missing file, means the default: `fedad/permits/rules.py`. A SuperNode
names the file by `policy="/etc/fedad/policy.toml"` in its node-config. What is refused leaves a
line in `audit.jsonl` in the site's own folder, and the server hears one word.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from fedad.config import Config
from fedad.errors import ConfigError, FedadError
from fedad.permits.audit import AUDIT, alone, audit_of, note
from fedad.permits.rules import Policy, line_of, read_policy
from fedad.permits.settings import beyond

__all__ = [
    "AUDIT",
    "CHECKED_APP",
    "DAY",
    "OWN_APP",
    "Policy",
    "PolicyError",
    "Warden",
    "audit_of",
    "line_of",
    "note",
    "policy_for",
    "read_policy",
]

CHECKED_APP = "FEDAD_CHECKED_APP"  # set by `fedad guard` to the sha256 of the app that it let in
OWN_APP = "FEDAD_OWN_APP"  # set by `fedad guard` to the sha256 of the app that this fedad builds
DAY = 24 * 3600.0
MEGABYTE = 1_000_000
COVERAGE = "coverage"  # the answer of which a day has a few; of any other a run has one


class PolicyError(FedadError):
    """The site's policy does not allow it; `reason` names the line."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def policy_for(run: str, path: Path | None, folder: Path) -> Policy:
    """As `read_policy`, or the defaults without a file; one that cannot be read leaves a line in
    the audit in `folder`."""
    if path is None:
        return Policy()
    try:
        return read_policy(path)
    except ConfigError as error:
        note(folder, "refused", run=run, line="policy", told=str(error))
        raise


class Warden:
    """Holds requests against a site's policy, and keeps the account of them.

    Args:
        folder: the site's own, where the account is.
        guarded: whether the app that runs came from a server, so that `fedad guard` must have
            looked at it.
    """

    def __init__(self, policy: Policy, folder: Path, *, guarded: bool = False) -> None:
        self.policy, self.folder, self.guarded = policy, folder, guarded

    def admit_settings(self, run: str, config: Config, patches: Callable[[], int]) -> None:
        """Whether a run may ask for so much of an image.

        Args:
            patches: of an image under this configuration; asked once its layers are allowed.

        Raises:
            PolicyError: it asks for more than a line allows.
        """
        for line, told in beyond(self.policy, config, patches):
            self._refuse(run, line, told)

    def admit(self, run: str, categories: Iterable[str]) -> None:
        """Whether a run may have anything of this site; the first time it counts as a run.

        Raises:
            PolicyError: the app was not looked at, or is not allowed; a product is not allowed;
                enough runs have begun today.
        """
        self._check_app(run)
        products = sorted(set(categories))
        if (allowed := self.policy.categories) is not None:
            for name in sorted(set(products) - set(allowed)):
                self._refuse(run, "categories", f"the run would be given something of {name!r}")
        with alone(self.folder):
            today = self._today("begun")
            for name in products or [""]:
                begun = {str(one["run"]) for one in today if _is_of(one, name)}
                if run not in begun and len(begun) >= self.policy.runs_a_day:
                    told = f"{len(begun)} runs have begun in 24 hours"
                    self._refuse(run, "runs-a-day", f"{told} with {name!r}" if name else told)
            if not any(
                one["run"] == run and {*one.get("categories", products)} >= {*products}
                for one in today
            ):
                self._note("begun", run, categories=products)

    def admit_answer(self, run: str, stage: str, made_of: str, categories: Iterable[str]) -> None:
        """Whether a new answer may be computed: what was asked before and sealed is none.

        Args:
            stage: what is asked, such as "train-2" or "coverage".
            made_of: a digest of the question. The same question again tells nothing new.

        Raises:
            PolicyError: the run, or for distances the day, has had its answers.
        """
        line, most = "runs-a-day", 1
        if stage == COVERAGE:
            line, most = "coverage-a-day", self.policy.coverage_a_day
        with alone(self.folder):
            given = [one for one in self._today("answered") if one["stage"] == stage]
            if stage != COVERAGE:
                given = [one for one in given if one["run"] == run]
            for name in sorted(set(categories)) or [""]:
                told_of = {str(one["made-of"]) for one in given if _is_of(one, name)}
                if made_of not in told_of and len(told_of) >= most:
                    self._refuse(run, line, f"{len(told_of)} answers to {stage} of {name!r} today")
            told = {"stage": stage, "made-of": made_of, "categories": sorted(set(categories))}
            self._note("answered", run, **told)

    def coverage_left(self, run: str, categories: Iterable[str]) -> int:
        """How many answers about distances this run may have in all, those that it had included."""
        key = run.partition("/")[0]
        given = [one for one in self._today("answered") if one["stage"] == COVERAGE]
        others = [one for one in given if not str(one["run"]).startswith(key)]
        had = (
            len({str(one["made-of"]) for one in others if _is_of(one, name)})
            for name in set(categories)
        )
        return max(0, self.policy.coverage_a_day - max(had, default=0))

    def admit_model(self, run: str, sites: Iterable[str], lacking: Iterable[str]) -> None:
        """Whether a model that was broadcast may be answered about.

        Args:
            sites: those that it names.
            lacking: products that this site gave something of, and the model has nothing of it.

        Raises:
            PolicyError: it names too many sites, or was made without what this site gave.
        """
        named, most = len({*sites}), self.policy.largest_federation
        if named > most:
            told = f"the model names {named} sites, at most {most} are believed"
            self._refuse(run, "largest-federation", told)
        for name in sorted(lacking):
            self._refuse(run, "largest-federation", f"the model has none of our rows of {name!r}")

    def admit_upload(self, run: str, size: int) -> None:
        """Whether so many bytes may leave.

        Raises:
            PolicyError: they may not.
        """
        if size > self.policy.largest_upload_mb * MEGABYTE:
            most = f"at most {self.policy.largest_upload_mb:g} may leave"
            told = f"an answer of {size / MEGABYTE:.1f} MB, {most}"
            self._refuse(run, "largest-upload-mb", told)

    def _check_app(self, run: str) -> None:
        app, own = os.environ.get(CHECKED_APP, ""), os.environ.get(OWN_APP, "")
        if not app and (self.guarded or self.policy.apps is not None):
            self._refuse(run, "apps", "nobody looked at the app: start SuperExec by `fedad guard`")
        if self.policy.apps is not None and app not in self.policy.apps:
            self._refuse(run, "apps", f"the app {app} is not in the policy")
        if self.policy.apps is None and app and app != own:
            self._refuse(run, "apps", f"the app {app} is not the one installed here")

    def _refuse(self, run: str, line: str, told: str) -> None:
        self._note("refused", run, line=line, told=told)
        raise PolicyError(f"the site's policy refuses ({line}): {told}", line)

    def _today(self, event: str) -> list[dict[str, Any]]:
        """The lines of the last 24 hours."""
        since = time.time() - DAY
        return [
            one for one in audit_of(self.folder) if one["event"] == event and one["time"] > since
        ]

    def _note(self, event: str, run: str, **told: object) -> None:
        note(self.folder, event, run=run, **told)


def _is_of(line: Mapping[str, Any], category: str) -> bool:
    """Whether a line of the account is of a product; older versions' lines are of all."""
    return not category or category in line.get("categories", [category])
