"""One model as a site keeps it: what is in its folder, and how it is opened again.

model.safetensors      the model, as it came or was merged
own.safetensors        what the site kept of its own images, which never leaves
extras.safetensors     pictures that operators called good, as rows; see `added_normals.py`
thresholds.json        the promise of each product, and the good scores that it rests on
checked.json           how it judged the site's own pictures
images.json            which pictures these are
passport.json          what it was made from, by whom, when, under which receipt
gate.json              whether it was accepted, and why not; the one file that is written later
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from fedad.banks.beside import beside, plain_bank, plain_own
from fedad.config import Config, every_knob, read
from fedad.errors import ConfigError, DataError
from fedad.messages.file import load, save
from fedad.messages.payload import Payload
from fedad.methods.base import method_of
from fedad.models.added_normals import ROWS as EXTRAS
from fedad.models.added_normals import Extras, read_extras
from fedad.models.checked import Checked, read_checked
from fedad.models.gate import Changed, Decision
from fedad.models.site_images import OwnImage, read_images, training
from fedad.models.store import models_folder, resolve
from fedad.plumbing.files import read_json, write_json
from fedad.running.model_file import open_model
from fedad.running.thresholds_file import Limits, read_limits

MODEL, OWN = "model.safetensors", "own.safetensors"
THRESHOLDS, PASSPORT, GATE = "thresholds.json", "passport.json", "gate.json"
KEYED = (MODEL, OWN, EXTRAS, THRESHOLDS)  # what it is called by: the same files, the same name
SCHEMA = 1


class Judging(NamedTuple):
    """What judges by a kept model: it, the site's own rows if they judge beside it, these rows
    whether they judge or not, and the images that they number."""

    model: Payload
    own: Payload | None
    source: Payload | None
    images: tuple[OwnImage, ...]


@dataclass(frozen=True)
class Kept:
    """A model's folder; everything is read when it is asked for."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def model_file(self) -> Path:
        return self.folder / MODEL

    def passport(self) -> dict[str, Any]:
        """What the model was made from.

        Raises:
            DataError: there is none, or one of another version of fedad.
        """
        told = read_json(self.folder / PASSPORT, "the passport of a model that a site keeps")
        if told.get("schema") != SCHEMA:
            raise DataError(
                f"{self.folder / PASSPORT}: schema {told.get('schema')!a:.20}, expected {SCHEMA}: "
                "was it written by another version of fedad?"
            )
        return told

    def config(self, changes: Mapping[str, Any] | None = None) -> Config:
        """The configuration that it was made with; knobs that this version lacks are left out.

        Raises:
            ConfigError: a value that this version does not take.
        """
        known = every_knob()
        told = {key: value for key, value in self.passport()["config"].items() if key in known}
        return read({**told, **(changes or {})})

    def open(self, config: Config) -> tuple[Config, Payload]:
        """The model, and `config` with the method and the embedding that it is of."""
        return open_model(config, self.model_file)

    def own(self, config: Config) -> Payload | None:
        """What the site kept of its own images when it last learned; None where it did not."""
        if not (self.folder / OWN).exists():
            return None
        return load(self.folder / OWN, method_of(config).rounds[-1].upload)

    def own_judges(self) -> bool:
        """Whether thresholds are of scores by the model with the site's own beside it."""
        return bool(self.passport().get("own_judges"))

    def extras(self) -> Extras:
        """The pictures that operators called good, as rows beside the model."""
        return read_extras(self.folder)

    def stale(self) -> dict[str, str]:
        """Product -> why its threshold must be set anew; empty where none must."""
        return {name: str(why) for name, why in self.passport().get("stale", {}).items()}

    def judging(self, config: Config, model: Payload) -> Judging:
        """All that judges by the model of this folder, with its added normals beside it."""
        own, extras, images = self.own(config), self.extras(), training(self.images()[1])
        mine = own if self.own_judges() else None
        if extras.bank is None:
            return Judging(model, mine, own, images)
        bank, exact = plain_bank(model), plain_own(own)
        if bank is None:
            raise DataError(f"{self.folder / EXTRAS}: rows beside a {model.record()}, no bank")
        judging, kept = beside(bank, exact, extras.bank, len(images))
        pictures = (*images, *(one.image for one in extras.pictures))
        return Judging(judging, kept if mine is not None else None, kept, pictures)

    def limits(self, config: Config) -> dict[str, Limits]:
        """The promise of each product; empty where none was set."""
        file = self.folder / THRESHOLDS
        return read_limits(file, self.model_file, config.score) if file.exists() else {}

    def checked(self) -> list[Checked]:
        return read_checked(self.folder)

    def images(self) -> tuple[str, tuple[OwnImage, ...]]:
        """The site's name, and which images it had."""
        return read_images(self.folder)

    def decision(self) -> Decision | None:
        """What the gate said of it; None where it was not asked."""
        if not (self.folder / GATE).exists():
            return None
        told = read_json(self.folder / GATE, "what the gate said of a model")
        try:
            changed = tuple(Changed(**one) for one in told["changed"])
            return Decision(bool(told["accepted"]), tuple(told["reasons"]), changed)
        except (KeyError, TypeError) as error:
            raise DataError(f"{self.folder / GATE}: not what a gate said ({error!r})") from error

    def write_decision(self, decision: Decision) -> None:
        write_json(self.folder / GATE, asdict(decision))


def write_own(folder: Path, own: Payload) -> None:
    """Keep what never leaves, beside a model."""
    save(folder / OWN, own, private=True)


def kept_at(path: Path) -> Kept:
    """The model in a folder.

    Raises:
        DataError: there is none.
    """
    if not (path / PASSPORT).is_file():
        raise DataError(f"{path}: no model that a site keeps: expected {PASSPORT} in it")
    return Kept(path.resolve())


def kept_named(path: Path, name: str = "") -> Kept:
    """A model by the first letters of its name, or the current one.

    Args:
        path: a site's folder of models, or the folder that it is in.

    Raises:
        DataError: there is no such model, or none was accepted.
    """
    return kept_at(resolve(models_folder(path), name))


def with_one_at_a_time(config: Config) -> Config:
    """`config` that embeds one picture at a time and keeps none of its features: at a line each is
    seen once, and padding to a batch would take ten times as long."""
    return replace(config, embedder=replace(config.embedder, batch=1, cache="off"))


def check_knobs(changes: Mapping[str, Any]) -> None:
    """Refuse what would change the features that a model was made of."""
    free = ("embedder.weights", "embedder.threads", "embedder.device")
    for key, value in changes.items():
        if key.startswith("embedder.") and key not in free:
            raise ConfigError(
                f"{key} = {value!r}: a model's features are as its file says: expected one of "
                f"{', '.join(free)}"
            )
