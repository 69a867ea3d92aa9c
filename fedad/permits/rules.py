"""The lines of a site's policy, and what each is where it is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from fedad.errors import ConfigError
from fedad.plugins import did_you_mean
from fedad.plumbing.checked import adapters, expected
from fedad.plumbing.parse import read_toml

LEDGER = "ledger"  # what a refusal names that is about a site's budgets, not about a line here

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Names = tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """What is allowed. A line that is left out means its default here, never "anything"."""

    apps: tuple[Sha256, ...] | None = None  # None: the app that the installed fedad is
    categories: Names | None = None  # None: all that the site has images of
    configurations: tuple[Sha256, ...] = ()  # exact ones; any other is then refused
    largest_upload_mb: Annotated[float, Field(gt=0)] = 200.0  # of one answer
    runs_a_day: Count = 4  # of a product
    coverage_a_day: Count = 2  # answers about distances to a bank, of a product
    smallest_group: Annotated[int, Field(ge=1)] = 5  # images behind each number that leaves
    largest_federation: Annotated[int, Field(ge=1)] = 32  # sites that a bank may name
    shallowest_layer: Annotated[str, Field(pattern=r"^layer\d+$")] = "layer2"
    smallest_pool: Annotated[int, Field(ge=1)] = 3
    largest_size: Annotated[int, Field(ge=32)] = 384  # of the longer side
    largest_untried_size: Annotated[int, Field(ge=32)] = 256  # where features are not as shipped
    smallest_tile: Annotated[int, Field(ge=32)] = 256  # a small one tells its own pixels alone
    largest_local_ratio: Annotated[float, Field(gt=0, le=1)] = 0.1
    largest_rows_an_image: Annotated[float, Field(gt=0)] = 110.0  # in the mean
    backbones: Names = ("tf_efficientnet_lite0.in1k", "wide_resnet50_2.tv_in1k")
    selections: Names = ("kcenter",)
    aggregations: Names = ("concatenate", "diversity_preserving", "federated_coreset", "quota")
    smallest_batch: Annotated[int, Field(ge=1)] = 256  # patches behind a step of training
    methods: Names = ("coded_patchcore", "discriminator", "patchcore")
    releases: Names = ("dp_sgd", "dp_tree", "keep")
    requires_privacy: bool = False  # whether a release that protects nothing is refused
    largest_epsilon: Annotated[float, Field(gt=0)] = 10.0  # of one release, as it is asked for
    largest_delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    releases_in_all: Count = 10  # of a product, for ever; its ledger says how much epsilon
    starts: Names = ("codebook", "positions")  # where a release begins: none is fitted on images
    reuse_releases: bool = False  # whether the next run that asks the same has the release again
    test_images_outside_the_unit: bool = False  # whether figures of test images may leave
    # A new model judges at once if, of the site's own pictures, no more good parts are stopped than
    # promised and this share more, and no larger share of found defects is lost.
    gate_false_rejects: Annotated[float, Field(ge=0, le=1)] = 0.0
    gate_lost_defects: Annotated[float, Field(ge=0, le=1)] = 0.0
    largest_extras: Count = 5_000  # rows of added normals that judge beside a model, in all


def read_policy(path: Path) -> Policy:
    """The policy in a file.

    Raises:
        ConfigError: no such file, no TOML, an unknown line or a value that cannot be. A site whose
            policy cannot be read takes part in nothing.
    """
    given = _lines(path)
    known = {line_of(one.name): one for one in fields(Policy)}
    for line in given:
        if line not in known:
            raise ConfigError(
                f"{path}: there is no line {line!r}{did_you_mean(line, known)}: expected "
                f"{', '.join(known)}"
            )
    return Policy(**{known[line].name: _value(path, line, given[line]) for line in given})


def line_of(name: str) -> str:
    """A field's name as a policy has it."""
    return name.replace("_", "-")


def _lines(path: Path) -> Mapping[str, Any]:
    try:
        return read_toml(path)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}): expected the site's policy, which "
            "node-config names"
        ) from error
    except ValueError as error:
        raise ConfigError(f"{path}: not TOML ({error})") from error


def _value(path: Path, line: str, value: Any) -> Any:
    try:
        return adapters(Policy)[line.replace("-", "_")].validate_python(value)
    except ValidationError as error:
        raise ConfigError(f"{path}: {line} = {value!r}: {expected(error)}") from None
