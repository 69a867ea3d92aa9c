"""Flower's flat run-config -> frozen dataclasses, checked once, at the edge.

A knob is `table.kebab-case`: one table a stage, and one a plug-in whose file declares `Knobs`.
Flower lists all of them in `[tool.flwr.app.config]` of pyproject.toml, which `make knobs` writes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache, partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, TypeAdapter, ValidationError

from fedad.errors import ConfigError
from fedad.plugins import declared, did_you_mean, names, plugin, states
from fedad.plumbing.backbones import BACKBONES
from fedad.plumbing.checked import adapters, expected
from fedad.plumbing.sides import also_of, as_also, as_size, as_tile, sides_of

Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
Size = Annotated[int | str, PlainValidator(as_size)]
Sizes = Annotated[str, PlainValidator(as_also)]
Pixels = Annotated[int, Field(ge=0), AfterValidator(as_tile)]


@dataclass(frozen=True)
class DataKnobs:
    """Which images there are, and who has them."""

    dataset: str = "synthetic"
    dir: str = ""  # the data set's root; empty draws the demo plants
    categories: str = ""  # comma list; empty means all
    partition: Literal["natural", "iid", "category", "dirichlet", "cross_product"] = "natural"
    sites: Positive = 3  # for iid, dirichlet and cross_product
    alpha: Annotated[float, Field(gt=0)] = 0.5  # for dirichlet: smaller is less even
    images: Annotated[int, Field(ge=0)] = 0  # good images a site and product at most; 0 is all
    # For cross_product: the share of a material's products that are judged and not learned from
    # (5 of 15, 5 of 14, 4 of 10), and the pattern that finds a product's material in its name;
    # empty: up to the first hyphen, or without its number.
    unseen: Annotated[float, Field(gt=0, lt=1)] = 0.36
    material: str = ""
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.0  # share of train/good kept for thresholds
    skip_budget: Annotated[float, Field(ge=0, lt=1)] = 0.05  # share of images that may be unusable
    # Of image files with more than 8 bits a value, how many the camera writes; 0: as the file says.
    bits: Literal[0, 8, 10, 12, 14, 16] = 16
    white: Annotated[float, Field(ge=0)] = 0.0  # the value that is white in them; 0: by `bits`
    # What a camera writes of how to turn a picture and of its colours, in images and masks alike.
    orientation: Literal["ignore", "apply"] = "ignore"
    profile: Literal["ignore", "apply"] = "ignore"
    most_megapixels: Annotated[float, Field(gt=0, le=1000)] = 40.0  # larger images are skipped
    # Which images are of one part: `column:NAME` of sites.csv, `pattern:REGEX` on file names, or
    # `near-duplicates`; empty: each is of a part of its own.
    group: str = ""
    # The mask image of each product's region of interest, below its folder or an absolute path,
    # such as roi.png or /masks/{site}/{product}.png: what is 0 in it is neither learned nor judged.
    roi: str = ""


@dataclass(frozen=True)
class EmbedderKnobs:
    """How an image becomes patch features."""

    # A name of timm's, or a short one of `plumbing/backbones.py` such as dinov2-s14, which also
    # says which layers and grid there are unless these are set to others than their defaults.
    backbone: str = "tf_efficientnet_lite0.in1k"
    weights: str = "package"  # package, hub, random, or a file
    layers: str = "layer2,layer3"
    grid: str = "layer2"  # the layer whose grid the others are brought to
    pool: Positive = 3  # side of the neighbourhood that a patch is the mean of; odd
    size: Size = 384  # pixels that images are brought to, not cropped: a square, or "WxH"
    # Comma list of further sizes: images are embedded at each of them too, and what it gives is
    # brought to the grid of `size` and joined to its features, with an equal share.
    also: Sizes = ""
    # Of images with other proportions: stretched, or scaled alike and padded on the right or below.
    fit: Literal["stretch", "pad"] = "stretch"
    tile: Pixels = 0  # side of the tiles that the network is given in turn; 0: all at once
    overlap: Pixels = 128  # of neighbouring tiles
    batch: Positive = 16
    threads: Positive = 2
    precision: Literal["float32", "bfloat16", "float16"] = "float32"  # of the network's arithmetic
    device: Literal["auto", "cpu", "cuda"] = "auto"
    cache: str = ""  # folder of cached features; empty is ~/.cache/fedad, "off" is none
    cache_gb: Annotated[float, Field(gt=0)] = 20.0  # the oldest features go first


@dataclass(frozen=True)
class CoresetKnobs:
    """What a site keeps of its patches."""

    selection: str = "kcenter"
    local_ratio: Share = 0.0444  # of an image of 384 pixels as many rows as .1 of one of 256
    memory_gb: Annotated[float, Field(ge=0)] = 0.0  # for a site's bank building; 0 is no limit


@dataclass(frozen=True)
class MergeKnobs:
    """How uploads become one bank."""

    aggregation: str = "federated_coreset"
    oversample: Annotated[float, Field(ge=1)] = 2.0  # rows of a site in the pool, in shares
    floor: Annotated[int, Field(ge=0)] = 100  # rows a site keeps under diversity_preserving
    weighting: str = "n"  # of sites: n, sqrt, equal, coverage, or factors such as graz=2,lyon=0.5


@dataclass(frozen=True)
class BankKnobs:
    """The bank that is broadcast."""

    size: Annotated[int, Field(ge=0)] = 0  # rows in all; 0 is coreset.local-ratio of all patches
    scope: Literal["category", "mixed"] = "category"


@dataclass(frozen=True)
class ScoreKnobs:
    """How a patch, a pixel and an image are scored."""

    scoring: str = "standardised"
    search: Literal["torch", "bfloat16", "faiss"] = "torch"  # all exact; what they compute with
    q: Positive = 2  # for q_of_n, which holds against q - 1 malicious sites
    neighbours: Positive = 1  # above 1: PatchCore's weighting of the image score
    sigma: Annotated[float, Field(ge=0)] = 2.0  # smoothing of maps, in pixels at embedder.size
    false_rejects: Annotated[float, Field(gt=0, lt=1)] = 0.1  # wished share of good parts stopped
    # A threshold a product, or also for each site whose row is nearest to a part's oddest patch.
    threshold_by: Literal["nearest-site", "product"] = "nearest-site"
    replicates: Annotated[int, Field(ge=0)] = 200  # resampled counts a site sends, for intervals


@dataclass(frozen=True)
class WireKnobs:
    """What travels."""

    # float16 halves the bytes, int8 is about a fourth: a byte a value, and a scale a row.
    dtype: Literal["float32", "float16", "int8"] = "float32"
    largest_mb: Annotated[float, Field(gt=0)] = 1000.0  # of one answer of a site; more is refused


@dataclass(frozen=True)
class RoundKnobs:
    """The run itself."""

    method: str = "patchcore"
    seed: Annotated[int, Field(ge=0)] = 0
    name: str = ""  # of the run folder
    track: Literal["", "mlflow", "tensorboard"] = ""  # who is told of the run beside its folder
    out: str = ""  # absolute path of the run folder; empty keeps none
    resume: bool = False  # go on with the run that `out` holds
    expected: str = ""  # comma list of the sites waited for; empty: any `data.sites`
    # How the sites must embed, as `fedad preflight site` prints it; empty: as most of them do.
    fingerprint: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    largest_test_set: Positive = 100_000  # images a site and product; who says more is refused
    min_sites: Annotated[int, Field(ge=0)] = 0  # go on with so many at a deadline; 0: only with all
    enrol_seconds: Seconds = 120.0
    train_seconds: Seconds = 3600.0
    evaluate_seconds: Seconds = 3600.0
    merge_seconds: Seconds = 3600.0  # of a merge at the server; uploads are kept when it is over
    rejoin_seconds: Seconds = 120.0  # how long a site that was lost may take to come back
    keep_days: Annotated[int, Field(ge=0)] = 365  # of banks that sites sent, to forget one by


@dataclass(frozen=True)
class PrivacyKnobs:
    """What may leave a site of what it has learned."""

    release: str = "keep"


@dataclass(frozen=True)
class Config:
    """Every knob of a run: one table a stage, and one a plug-in that has knobs of its own."""

    data: DataKnobs = field(default_factory=DataKnobs)
    embedder: EmbedderKnobs = field(default_factory=EmbedderKnobs)
    coreset: CoresetKnobs = field(default_factory=CoresetKnobs)
    merge: MergeKnobs = field(default_factory=MergeKnobs)
    bank: BankKnobs = field(default_factory=BankKnobs)
    score: ScoreKnobs = field(default_factory=ScoreKnobs)
    privacy: PrivacyKnobs = field(default_factory=PrivacyKnobs)
    wire: WireKnobs = field(default_factory=WireKnobs)
    round: RoundKnobs = field(default_factory=RoundKnobs)
    plugins: Mapping[str, Any] = field(default_factory=dict, hash=False)  # name -> its `Knobs`

    def knobs(self, name: str) -> Any:
        """The own knobs of the plug-in of this name, which declares some."""
        return self.plugins.get(name) or plugin_tables()[name]()

    def configured(self, key: str) -> Any:
        """The plug-in that the knob `key` names. One that declares `Knobs` gets its own as the
        keyword `settings`."""
        name = str(self.flat()[key])
        found = plugin(PLUGINS[key], name)
        return partial(found, settings=self.knobs(name)) if name in plugin_tables() else found

    def chosen(self) -> tuple[str, ...]:
        """The plug-ins that this run uses, by name, those with knobs of their own alone."""
        names_ = {getattr(getattr(self, t), _snake(k)) for t, _, k in map(_parts, PLUGINS)}
        tables, method = {*plugin_tables()}, self.round.method
        if method in names("methods"):  # a method may be another one's but for some of it
            names_ |= {name for name in tables if states("methods", method, f'HEEDS = "{name}"')}
        return tuple(sorted({*names_, *self.members()} & tables))

    def members(self) -> tuple[str, ...]:
        """The files of `fedad/members` that the method is made of, by name; of most it is none."""
        method = self.round.method
        if method in names("methods") and states("methods", method, "MEMBERS = True"):
            return words(self.knobs(method).members)
        return ()

    def flat(self) -> dict[str, Value]:
        """The run-config that reads back as this."""
        shared = {name: getattr(self, name) for name in TABLES}
        own = {name: self.knobs(name) for name in sorted({*self.chosen(), *self.plugins})}
        return {
            f"{table}.{_kebab(knob.name)}": getattr(knobs, knob.name)
            for table, knobs in {**shared, **own}.items()
            for knob in fields(knobs)
        }

    def essence(self) -> dict[str, Value]:
        """The knobs that what a run computes depends on: a run goes on only with the same."""
        ways, unused = {*WAYS}, {*self.plugins} - {*self.chosen()}
        if self.data.partition in ("iid", "dirichlet", "cross_product"):
            ways -= {"data.sites"}
        return {
            key: value
            for key, value in self.flat().items()
            if key not in ways and key.partition(".")[0] not in unused
        }

    def unused(self) -> list[str]:
        """A warning for each knob that was turned of a plug-in that this run does not use."""
        return [
            f"{name}.{_kebab(knob.name)} = {getattr(self.plugins[name], knob.name)!r} changes "
            f"nothing: this run does not use {name}"
            for name in sorted({*self.plugins} - {*self.chosen()})
            for knob in fields(self.plugins[name])
            if getattr(self.plugins[name], knob.name) != knob.default
        ]


LARGEST = 1e12  # of a knob with a decimal point: no time, memory or factor is longer, nor NaN
TABLES: dict[str, type] = {
    "data": DataKnobs,
    "embedder": EmbedderKnobs,
    "coreset": CoresetKnobs,
    "merge": MergeKnobs,
    "bank": BankKnobs,
    "score": ScoreKnobs,
    "privacy": PrivacyKnobs,
    "wire": WireKnobs,
    "round": RoundKnobs,
}
# Knobs that say how a run goes, and change nothing of what it computes.
WAYS = (
    "data.dir",
    "data.sites",
    "embedder.cache",
    "embedder.cache-gb",
    "round.name",
    "round.track",
    "round.out",
    "wire.largest-mb",
    "round.resume",
    "round.expected",
    "round.fingerprint",
    "round.largest-test-set",
    "round.min-sites",
    "round.enrol-seconds",
    "round.train-seconds",
    "round.evaluate-seconds",
    "round.merge-seconds",
    "round.rejoin-seconds",
    "round.keep-days",
)
# Knobs that a deployed site sets in its node-config, by their name after the dot: a server opens no
# path of its choosing there, and does not say how much of the machine is used.
AT_THE_SITE = (
    "data.bits",
    "data.white",
    "data.orientation",
    "data.profile",
    "data.most-megapixels",
    "data.group",
    "data.roi",
    "embedder.weights",
    "embedder.cache",
    "embedder.cache-gb",
    "embedder.batch",
    "embedder.threads",
    "embedder.device",
)
Value = str | int | float | bool
KEEP_DAYS = "round.keep-days"
NEAREST = "nearest"  # the scoring to which rows are rows, whoever's they are
NEAREST_SITE = "nearest-site"
COVERAGE = "coverage"  # the weighting for which the sites are asked
WEIGHTINGS = ("n", "sqrt", "equal", COVERAGE)  # of sites in a merge, beside factors a site
# Knobs whose value is the name of a plug-in file -> the folder it is in.
PLUGINS = {
    "data.dataset": "datasets",
    "coreset.selection": "coresets",
    "merge.aggregation": "aggregation",
    "score.scoring": "scoring",
    "privacy.release": "privacy",
    "round.method": "methods",
}
KINDS = ("coresets", "aggregation", "scoring", "privacy", "methods", "members")  # may have knobs


def read(run_config: Mapping[str, Any]) -> Config:
    """The checked configuration of a flat run-config; knobs that it lacks keep their defaults.

    >>> read({"coreset.local-ratio": 0.2}).coreset
    CoresetKnobs(selection='kcenter', local_ratio=0.2, memory_gb=0.0)

    Raises:
        ConfigError: an unknown table or key, answered with the nearest one; a value of the wrong
            kind or out of range; a name without a plug-in file; knobs that exclude each other.
    """
    own = plugin_tables()
    tables: dict[str, dict[str, Any]] = {name: {} for name in TABLES}
    for key, value in run_config.items():
        table, name = _known(key, own)
        tables.setdefault(table, {})[name] = value
    made = {name: _table(name, kind, tables[name]) for name, kind in TABLES.items()}
    made["embedder"] = _named_in_full(made["embedder"])
    turned = {name: _table(name, own[name], tables[name]) for name in tables if name in own}
    config = Config(**made, plugins={n: k for n, k in turned.items() if k != own[n]()})
    flat = config.flat()
    for key, kind in PLUGINS.items():
        if (value := flat[key]) not in names(kind):
            raise ConfigError(
                f"{key} = {value!r}{did_you_mean(str(value), names(kind))}: "
                f"expected one of {', '.join(names(kind))}"
            )
    if config.embedder.pool % 2 == 0:
        raise ConfigError(
            f"embedder.pool = {config.embedder.pool}: expected an odd number: an even "
            "neighbourhood lies half a patch beside its patch"
        )
    if 0 < (tile := config.embedder.tile) < 2 * (overlap := config.embedder.overlap):
        raise ConfigError(
            f"embedder.overlap = {overlap}: expected at most half of embedder.tile = {tile}"
        )
    _check_also(config.embedder)
    if config.score.scoring != NEAREST and config.score.neighbours > 1:
        raise ConfigError(
            f"score.neighbours = {config.score.neighbours}: expected 1 with score.scoring = "
            f"{config.score.scoring!r}: the rows around a row are weighed in {NEAREST!r} alone: "
            f"set score.scoring = {NEAREST!r} as well, or leave score.neighbours at 1"
        )
    _check_release(config)
    if config.merge.weighting not in WEIGHTINGS:
        factors(config.merge.weighting)
    return config


def _named_in_full(knobs: EmbedderKnobs) -> EmbedderKnobs:
    """A short name of a backbone as timm's, with its layers where none are set."""
    if (known := BACKBONES.get(knobs.backbone)) is None:
        return knobs
    usual = EmbedderKnobs()
    if (knobs.layers, knobs.grid) == (usual.layers, usual.grid):
        knobs = replace(knobs, layers=known.layers, grid=known.grid)
    return replace(knobs, backbone=known.model)


def _check_also(knobs: EmbedderKnobs) -> None:
    """Refuse further sizes that cannot be joined patch by patch."""
    sizes, told = also_of(knobs.also), f"embedder.also = {knobs.also!r}"
    if sizes and knobs.tile:
        raise ConfigError(
            f"{told}: expected '' with embedder.tile = {knobs.tile}: images in tiles are embedded "
            "at one size"
        )
    if knobs.size in sizes:
        raise ConfigError(f"{told}: expected other sizes than embedder.size = {knobs.size!r}")
    height, width = sides_of(knobs.size)
    for high, wide in map(sides_of, sizes):
        if knobs.fit == "pad" and high * width != wide * height:
            raise ConfigError(
                f"{told}: {wide} x {high} has other proportions than embedder.size = "
                f"{knobs.size!r}, and with embedder.fit = 'pad' its patches would show other "
                "places: expected the same proportions, or embedder.fit = 'stretch'"
            )


def _check_release(config: Config) -> None:
    """Refuse what would tell of images beside a private release, or what it has no use for."""
    name = config.privacy.release
    if not states("privacy", name, "PRIVATE = True"):
        return
    told = f"with privacy.release = {name!r}"
    if config.merge.weighting == COVERAGE:
        raise ConfigError(
            f"merge.weighting = {COVERAGE!r}: not {told}: distances of good images would leave"
        )
    for knob in ("data.holdout", "data.images"):
        if value := config.flat()[knob]:
            raise ConfigError(
                f"{knob} = {value}: expected 0 {told}: which images it takes depends on all of "
                "them; give a validation split for thresholds"
            )
    by_part = getattr(config.knobs(name), "unit", "image") == "part"
    if by_part and config.data.group == "near-duplicates":
        raise ConfigError(
            f"{name}.unit = 'part': not with data.group = 'near-duplicates': which images are of "
            "one part then depends on all of them; expected column:NAME or pattern:REGEX"
        )
    if not states("privacy", name, "PROJECTED = True"):
        return
    for knob, wanted in (("bank.size", 0), ("bank.scope", "category")):
        if (value := config.flat()[knob]) != wanted:
            raise ConfigError(
                f"{knob} = {value!r}: expected {wanted!r} {told}, whose releases are united"
            )


def factors(text: str) -> dict[str, float]:
    """`"graz=2, lyon=0.5"` -> `{"graz": 2.0, "lyon": 0.5}`: weights of sites beside their images.

    Raises:
        ConfigError: no such list, or a factor that is not above 0.
    """
    found = {}
    for word in words(text):
        site, _, factor = word.rpartition("=")
        try:
            found[site.strip()] = float(factor)
        except ValueError:
            found[site] = 0.0
    if not found or not all(0 < factor < math.inf for factor in found.values()):
        raise ConfigError(
            f"merge.weighting = {text!r}{did_you_mean(text, WEIGHTINGS)}: expected one of "
            f"{', '.join(WEIGHTINGS)}, or factors above 0 such as graz=2,lyon=0.5"
        )
    return found


def words(text: str) -> tuple[str, ...]:
    """A comma list as a tuple: `"layer2, layer3"` -> `("layer2", "layer3")`."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


@cache
def plugin_tables() -> dict[str, type]:
    """Plug-in -> the dataclass of its own knobs, which its file declares as `Knobs`.

    Raises:
        ConfigError: two plug-ins of one name, or one that is called as a shared table is.
    """
    found: dict[str, type] = {}
    for kind in KINDS:
        for name in names(kind):
            if (knobs := declared(kind, name, "Knobs")) is None:
                continue
            if name in found or name in TABLES:
                raise ConfigError(f"fedad/{kind}/{name}.py: another table is called {name}")
            found[name] = knobs
    return found


def every_knob() -> dict[str, Value]:
    """All knobs with their defaults, those of every plug-in too: what pyproject.toml lists."""
    return Config(plugins={name: knobs() for name, knobs in plugin_tables().items()}).flat()


def _known(key: str, own: Mapping[str, type]) -> tuple[str, str]:
    """The table and the field of a knob."""
    table, _, name = _parts(key)
    kind = TABLES.get(table) or own.get(table)
    if kind is None or _kebab(name) != name or _snake(name) not in {f.name for f in fields(kind)}:
        raise ConfigError(_unknown(key, every_knob()))
    return table, _snake(name)


def _unknown(key: str, knobs: Iterable[str]) -> str:
    table = key.partition(".")[0]
    inside = [knob for knob in knobs if knob.startswith(f"{table}.")]
    tables = dict.fromkeys(knob.partition(".")[0] for knob in knobs)
    there = f"{table} has {', '.join(inside)}" if inside else f"tables are {', '.join(tables)}"
    return f"{key}: there is no such knob{did_you_mean(key, knobs)}; {there}"


def _table(name: str, table: type, given: Mapping[str, Any]) -> Any:
    kinds = adapters(table) if given else {}
    return table(**{k: _value(f"{name}.{_kebab(k)}", kinds[k], given[k]) for k in given})


def _value(knob: str, kind: TypeAdapter[Any], value: Any) -> Any:
    if isinstance(value, float) and not abs(value) <= LARGEST:
        raise ConfigError(f"{knob} = {value!r}: expected a number of at most {LARGEST:g}")
    try:
        return kind.validate_python(value, strict=True)
    except ValidationError as error:
        raise ConfigError(f"{knob} = {value!r}: {expected(error)}") from None


def _kebab(name: str) -> str:
    return name.replace("_", "-")


def _snake(name: str) -> str:
    return name.replace("-", "_")


def _parts(key: str) -> tuple[str, str, str]:
    return key.partition(".")
