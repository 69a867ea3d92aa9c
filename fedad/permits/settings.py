"""Is what a run asks for within a site's policy? Checked at the site, before an image is read.

Which patches leave, and how much of an image each tells, is up to the knobs of a run, which the
server chooses. Shallow layers, small neighbourhoods and many rows give pictures back
(`benchmarks/decoder.py`), so a policy bounds each of them, with bounds where it says nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator

from fedad.config import AT_THE_SITE, Config, EmbedderKnobs, words
from fedad.permits.rules import Policy
from fedad.plugins import names, states
from fedad.plumbing.sides import also_of, sides_of


def digest_of(config: Config) -> str:
    """The sha256 of all that a run computes with, less what each site settles for itself."""
    asked = {key: value for key, value in config.essence().items() if key not in AT_THE_SITE}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def beyond(
    policy: Policy, config: Config, patches_per_image: Callable[[], int]
) -> Iterator[tuple[str, str]]:
    """What of a run's configuration the policy does not allow: the line, and why.

    Args:
        patches_per_image: of this configuration's grid; it is asked once the layers are allowed.
    """
    if policy.configurations:
        if (asked := digest_of(config)) not in policy.configurations:
            yield "configurations", f"the configuration {asked} is not listed"
        return
    found = False
    looks = (_named, _layers, _sizes, _privacy)
    for line, told in (one for look in looks for one in look(policy, config)):
        found = True
        yield line, told
    if found:
        return
    rows = config.coreset.local_ratio * patches_per_image()
    if rows > policy.largest_rows_an_image:
        yield (
            "largest-rows-an-image",
            f"coreset.local-ratio = {config.coreset.local_ratio:g} and embedder.size = "
            f"{config.embedder.size} keep {rows:.0f} rows an image, at most "
            f"{policy.largest_rows_an_image:g} may leave",
        )


def _named(policy: Policy, config: Config) -> Iterator[tuple[str, str]]:
    asked = (
        ("backbones", "embedder.backbone", config.embedder.backbone),
        ("selections", "coreset.selection", config.coreset.selection),
        ("aggregations", "merge.aggregation", config.merge.aggregation),
        ("methods", "round.method", config.round.method),
        *(("methods", "a member", name) for name in config.members()),
        ("releases", "privacy.release", config.privacy.release),
    )
    for line, knob, value in asked:
        if value in (allowed := getattr(policy, line)):
            continue
        told = f"{knob} = {value}: allowed are {', '.join(allowed) or 'none'}"
        yield line, told + (_methods_for(policy, config) if line == "methods" else "")


def _methods_for(policy: Policy, config: Config) -> str:
    """The line of a policy that lets in the method of a run and its members, where there are such;
    the other lines hold them as any other."""
    asked = dict.fromkeys((*policy.methods, config.round.method, *config.members()))
    if not {*asked} <= {*names("methods"), *names("members")}:
        return ""
    listed = ", ".join(json.dumps(name) for name in asked)
    return f" (docs/policy.md says why); methods = [{listed}] in the site's policy lets it in"


def _layers(policy: Policy, config: Config) -> Iterator[tuple[str, str]]:
    least = _depth(policy.shallowest_layer)
    for knob, text in (("layers", config.embedder.layers), ("grid", config.embedder.grid)):
        if min((_depth(layer) for layer in words(text)), default=-1) < least:
            told = f"embedder.{knob} = {text}: {policy.shallowest_layer} or deeper is allowed"
            yield "shallowest-layer", told


def _sizes(policy: Policy, config: Config) -> Iterator[tuple[str, str]]:
    embedder = config.embedder
    if embedder.pool < policy.smallest_pool:
        told = f"embedder.pool = {embedder.pool}: {policy.smallest_pool} or more is allowed"
        yield "smallest-pool", told
    for knob, sizes in (("size", (embedder.size,)), ("also", also_of(embedder.also))):
        if max((side for one in sizes for side in sides_of(one)), default=0) > policy.largest_size:
            told = f"embedder.{knob} = {getattr(embedder, knob)}: up to {policy.largest_size}"
            yield "largest-size", f"{told} is allowed"
    largest, most = max(sides_of(embedder.size)), policy.largest_untried_size
    if most < largest <= policy.largest_size and (untried := _untried(embedder)):
        told = f"embedder.size = {embedder.size}: up to {most} is allowed with {untried}"
        yield "largest-untried-size", told
    if 0 < embedder.tile < policy.smallest_tile:
        told = f"embedder.tile = {embedder.tile}: {policy.smallest_tile} or more is allowed, or 0"
        yield "smallest-tile", told
    if (ratio := config.coreset.local_ratio) > policy.largest_local_ratio:
        told = f"coreset.local-ratio = {ratio:g}: up to {policy.largest_local_ratio:g} is allowed"
        yield "largest-local-ratio", told
    if 0 < (images := config.data.images) < policy.smallest_group:
        told = f"data.images = {images}: {policy.smallest_group} or more is allowed, or 0"
        yield "smallest-group", told
    for name in config.chosen():  # of how many images a count or a sum is, in each plug-in
        asked = config.knobs(name)
        least = getattr(asked, "least_images", policy.smallest_group)
        if getattr(asked, "counts", True) and least < policy.smallest_group:
            told = f"{name}.least-images = {least}: {policy.smallest_group} or more is allowed"
            yield "smallest-group", told
        least = policy.smallest_batch
        # A method's, or those of one that it works by: of patches. Other members' are of images.
        if name in names("methods") and (batch := getattr(asked, "batch", least)) < least:
            told = f"{name}.batch = {batch}: {least} or more is allowed"
            yield "smallest-batch", told


def _untried(embedder: EmbedderKnobs) -> str:
    """The knobs by which features are none that decoders were tried on above 256 pixels, which are
    the shipped ones; empty where there is none."""
    shipped = EmbedderKnobs()
    return ", ".join(
        f"embedder.{name} = {getattr(embedder, name)}"
        for name in ("backbone", "layers", "grid", "pool", "also")
        if getattr(embedder, name) != getattr(shipped, name)
    )


def _privacy(policy: Policy, config: Config) -> Iterator[tuple[str, str]]:
    release = config.privacy.release
    if policy.requires_privacy and not states("privacy", release, "PRIVATE = True"):
        yield "requires-privacy", f"privacy.release = {release}: it protects no image"
    for name in config.chosen():  # what a plug-in costs and begins with is called so in each
        asked = config.knobs(name)
        for knob, most in (("epsilon", policy.largest_epsilon), ("delta", policy.largest_delta)):
            if (value := getattr(asked, knob, 0.0)) > most:
                yield f"largest-{knob}", f"{name}.{knob} = {value:g}: up to {most:g} is allowed"
        start = getattr(asked, "start", None)
        if start is not None and start not in policy.starts:
            told = f"{name}.start = {start}: allowed are {', '.join(policy.starts) or 'none'}"
            yield "starts", told


def _depth(layer: str) -> int:
    """2 of `layer2`; -1 of a layer that is named otherwise, which no policy allows."""
    match = re.fullmatch(r"layer(\d{1,3})", layer)
    return int(match[1]) if match else -1
