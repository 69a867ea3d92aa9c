"""What a site lets a run do: a file on the site's own disk, which no run can change.

    apps = ["3f1c..."]           # sha256 of the apps (FABs) that may run; needs `fedad guard`
    categories = ["bolt"]        # the only products that a run may be given anything of
    largest-upload-mb = 100      # the most that one answer may hold
    runs-a-day = 4               # runs that may begin within 24 hours; going on with one counts

Every line may be left out. A SuperNode names the file by `policy="/etc/fedad/policy.toml"` in its
node-config. What is refused leaves a line in `audit.jsonl` in the site's own folder, and the server
hears one word.
"""

from __future__ import annotations

import json
import os
import time
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError

from fedad.errors import ConfigError, FedadError
from fedad.plugins import did_you_mean

AUDIT = "audit.jsonl"
CHECKED_APP = "FEDAD_CHECKED_APP"  # set by `fedad guard` to the sha256 of the app that it let in
DAY = 24 * 3600.0
MEGABYTE = 1_000_000


class PolicyError(FedadError):
    """The site's policy does not allow it; `reason` names the line."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Policy:
    """What is allowed; None is anything."""

    apps: tuple[Annotated[str, Field(pattern="^[0-9a-f]{64}$")], ...] | None = None
    categories: tuple[str, ...] | None = None
    largest_upload_mb: Annotated[float, Field(gt=0)] | None = None
    runs_a_day: Annotated[int, Field(ge=0)] | None = None


def read_policy(path: Path) -> Policy:
    """The policy in a file.

    Raises:
        ConfigError: no such file, no TOML, an unknown line or a value that cannot be. A site whose
            policy cannot be read takes part in nothing.
    """
    try:
        given = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}): expected the site's policy, which "
            "node-config names"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML ({error})") from error
    known = {line_of(one.name): one for one in fields(Policy)}
    for line in given:
        if line not in known:
            raise ConfigError(
                f"{path}: there is no line {line!r}{did_you_mean(line, known)}: expected "
                f"{', '.join(known)}"
            )
    return Policy(**{known[line].name: _value(path, line, given[line]) for line in given})


def policy_for(run: str, path: Path, folder: Path) -> Policy:
    """As `read_policy`; one that cannot be read leaves a line in the audit in `folder`."""
    try:
        return read_policy(path)
    except ConfigError as error:
        note(folder, "refused", run=run, line="policy", told=str(error))
        raise


class Warden:
    """Holds requests against a site's policy, and keeps the account of them."""

    def __init__(self, policy: Policy, folder: Path) -> None:
        self.policy, self.folder = policy, folder

    def admit(self, run: str, categories: Iterable[str]) -> None:
        """Whether a run may have anything of this site; the first time it counts as a run.

        Raises:
            PolicyError: the app was not looked at, or is not allowed; a product is not allowed;
                enough runs have begun today.
        """
        self._check_app(run)
        if (allowed := self.policy.categories) is not None:
            for name in sorted(set(categories) - set(allowed)):
                self._refuse(run, "categories", f"the run would be given something of {name!r}")
        if (most := self.policy.runs_a_day) is not None:
            begun = self._begun()
            if run not in begun:
                if len(begun) >= most:
                    self._refuse(run, "runs-a-day", f"{len(begun)} runs have begun in 24 hours")
                self._note("begun", run)

    def admit_upload(self, run: str, size: int) -> None:
        """Whether so many bytes may leave.

        Raises:
            PolicyError: they may not.
        """
        most = self.policy.largest_upload_mb
        if most is not None and size > most * MEGABYTE:
            told = f"an answer of {size / MEGABYTE:.1f} MB, at most {most:g} may leave"
            self._refuse(run, "largest-upload-mb", told)

    def _check_app(self, run: str) -> None:
        if self.policy.apps is None:
            return
        app = os.environ.get(CHECKED_APP, "")
        if not app:
            self._refuse(run, "apps", "nobody looked at the app: start SuperExec by `fedad guard`")
        if app not in self.policy.apps:
            self._refuse(run, "apps", f"the app {app} is not in the policy")

    def _refuse(self, run: str, line: str, told: str) -> None:
        self._note("refused", run, line=line, told=told)
        raise PolicyError(f"the site's policy refuses ({line}): {told}", line)

    def _begun(self) -> set[str]:
        """The runs that began in the last 24 hours."""
        since = time.time() - DAY
        return {
            str(one["run"])
            for one in audit_of(self.folder)
            if one["event"] == "begun" and one["time"] > since
        }

    def _note(self, event: str, run: str, **told: str) -> None:
        note(self.folder, event, run=run, **told)


def note(folder: Path, event: str, **told: str) -> None:
    """Add a line to a site's audit, on disk before anything else happens."""
    folder.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"time": time.time(), "event": event, **told})
    with (folder / AUDIT).open("a") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def audit_of(folder: Path) -> list[dict[str, Any]]:
    """The lines of a site's audit, oldest first; one that a crash cut short is left out."""
    path = folder / AUDIT
    found = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            found.append(dict(json.loads(line)))
        except ValueError:
            continue
    return found


def _value(path: Path, line: str, value: Any) -> Any:
    kind = get_type_hints(Policy, include_extras=True)[line.replace("-", "_")]
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        message = error.errors()[0]["msg"].replace("Input should be", "expected")
        raise ConfigError(f"{path}: {line} = {value!r}: {message}") from None


def line_of(name: str) -> str:
    """A field's name as a policy has it."""
    return name.replace("_", "-")
