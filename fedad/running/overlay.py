"""A TOML file, `key=value` words and a run's folder -> the configuration of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedad.config import Config, every_knob, read
from fedad.datasets.join import roots_of
from fedad.errors import ConfigError, DataError
from fedad.plumbing import parse
from fedad.plumbing.files import expanded
from fedad.plumbing.journal import events_of
from fedad.reporting.run_folder import FAILURE, RECORD
from fedad.running.shipped import found

NO_FILE = ("", "package", "hub", "random")  # what embedder.weights may be beside a file
FOLDERS = ("data.dir", "embedder.cache")  # knobs that hold one


def read_config(path: Path | None, overrides: Sequence[str]) -> Config:
    """The defaults, below a TOML overlay, below `key=value` overrides.

    Raises:
        ConfigError: no such file, not TOML, or a knob or value that is wrong.
    """
    knobs = flat(read_toml(found(path, ".toml"))) if path else {}
    return read(absolute({**knobs, **read_knobs(overrides)}))


def chosen_config(path: Path | None, overrides: Sequence[str], resume: Path | None) -> Config:
    """The configuration of a new run, or of the run in the folder `resume`, which has its own.

    Raises:
        ConfigError, DataError: both a file and a run are named, or either is wrong.
    """
    if resume is None:
        return read_config(path, overrides)
    if path is not None:
        raise ConfigError(
            f"{path} and --resume {resume}: expected one of them, since a run goes on as it was "
            "begun; -c round.train-seconds=... gives it time"
        )
    return resumed_config(resume.absolute(), overrides)


def resumed_config(folder: Path, overrides: Sequence[str]) -> Config:
    """The configuration that goes on with the run in `folder`; `overrides` may give it time.

    Raises:
        ConfigError: an override that is wrong; the folder is left as it is.
        DataError: no run has begun there, or it has finished.
    """
    if (folder / RECORD).exists():
        raise DataError(f"{folder}: the run has finished: {RECORD} is there")
    knobs = {**events_of(folder)[0]["config"], **read_knobs(overrides)}
    config = read({**absolute(knobs), "round.out": str(folder), "round.resume": True})
    (folder / FAILURE).unlink(missing_ok=True)
    return config


def read_knobs(overrides: Sequence[str]) -> dict[str, Any]:
    """`["coreset.local-ratio=0.2"]` -> `{"coreset.local-ratio": 0.2}`.

    Raises:
        ConfigError: an override without `=`.
    """
    knobs, known = {}, every_knob()
    for override in overrides:
        key, sign, value = override.partition("=")
        if not sign:
            raise ConfigError(f"-c {override}: expected key=value, such as coreset.local-ratio=0.2")
        knobs[key.strip()] = _value(value.strip(), is_text=isinstance(known.get(key.strip()), str))
    return knobs


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        ConfigError: no such file, or not TOML.
    """
    try:
        return parse.read_toml(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not TOML ({error})") from error


def flat(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as `table.key`."""
    knobs: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, Mapping):
            knobs |= flat(value, f"{prefix}{key}.")
        else:
            knobs[prefix + key] = value
    return knobs


def absolute(knobs: Mapping[str, Any]) -> dict[str, Any]:
    """The knobs with absolute paths: Flower's processes stand elsewhere than the user.

    A folder that is "" or "off" stays so, and so do the words for weights that are no file.
    """
    paths = [key for key in FOLDERS if knobs.get(key, "off") not in ("", "off")]
    if knobs.get("embedder.weights", "package") not in NO_FILE:
        paths.append("embedder.weights")
    return {**knobs, **{key: _absolute(str(knobs[key]), listed=key == "data.dir") for key in paths}}


def _absolute(text: str, *, listed: bool) -> str:
    """A path, or each of a comma list of them, as absolute ones."""
    parts = roots_of(text) if listed else [text]
    return ",".join(str(expanded(part).absolute()) for part in parts)


def _value(text: str, *, is_text: bool) -> str | int | float | bool:
    """A value as TOML reads it; what TOML cannot read is a string without its quotes, and so is all
    that a knob of text is given: a category may be called 2024-01-05, 7 or true."""
    try:
        value = parse.from_toml(f"value = {text}")["value"]
    except ValueError:
        return text
    return text if is_text and not isinstance(value, str) else value
