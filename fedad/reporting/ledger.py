"""What a run cost: bytes by record and site, seconds by stage; and what else could be sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedad.config import read
from fedad.errors import ConfigError
from fedad.reporting.markup import Html, Section, megabytes, paragraph, table
from fedad.reporting.plots import Plot, bars

FLOAT32 = 4  # bytes of a weight


def moved(record: Mapping[str, Any], way: str) -> dict[str, dict[str, int]]:
    """Site -> record -> bytes `up` or `down`, before they are deflated for transport."""
    sites = record["sites"].items()
    return {name: dict(told["bytes"][way]) for name, told in sites if "bytes" in told}


def fedavg_bytes(record: Mapping[str, Any]) -> int | None:
    """One round of FedAvg of the whole backbone: its weights up from and down to every site."""
    weights = record.get("instead", {}).get("backbone_weights") or _weights(record["config"])
    return 2 * FLOAT32 * weights * len(record["sites"]) if weights else None


def _weights(config: Mapping[str, Any]) -> int | None:
    """Of the backbone, which a server needs no other time; None of one that is not known here."""
    from fedad.embedders.backbone import parameters_of

    try:
        return parameters_of(read(config).embedder)
    except ConfigError:
        return None


def image_bytes(record: Mapping[str, Any]) -> int | None:
    """The files of all good images, which a server would need to have in one place."""
    told = record.get("instead", {}).get("image_bytes")
    return sum(told.values()) if told else None


def ledger(record: Mapping[str, Any]) -> tuple[Section, list[Plot]]:
    """The section on cost, and its plot."""
    up, down = record["bytes"]["up"], record["bytes"]["down"]
    ways = [("this run, up", up), ("this run, up and down", up + down)]
    ways += [("all good images, sent once", size)] if (size := image_bytes(record)) else []
    fedavg = fedavg_bytes(record)
    ways += [("FedAvg of the backbone, a round", fedavg)] if fedavg else []
    plot = bars("cost", "Bytes, one way or another", [(n, b / 1e6) for n, b in ways], "MB")
    body = (
        plot.figure() + _beside(record, up + down, fedavg) + _by_record(record) + _seconds(record)
    )
    return Section("cost", "Cost", body), [plot]


def _beside(record: Mapping[str, Any], total: int, fedavg: int | None) -> str:
    rounds = record.get("rounds", 1)
    said = [f"{megabytes(total)} moved in all, up and down, in {rounds_of(rounds)}."]
    if images := image_bytes(record):
        said.append(f"{_good_images(record).capitalize()} weigh {megabytes(images)}:")
        said.append(_against_images(total, images))
    else:
        said.append("What the images weigh is known at the sites only.")
    if fedavg:
        said.append(
            f"FedAvg of the whole backbone would move {megabytes(fedavg)} in every round, "
            f"{fedavg / total:.2g} times as much, and would need many."
        )
    return paragraph(" ".join(said))


def rounds_of(count: int) -> str:
    return "one round" if count == 1 else f"{count} rounds"


def _against_images(total: int, images: int) -> str:
    """What moved beside the images sent once, whichever is more."""
    if images >= total:
        return f"sending them once would have moved {images / max(1, total):.2g} times as much."
    return (
        f"this run moved {total / images:.2g} times as much as sending them once would have. "
        "It saves no bytes here: it keeps the images at the sites."
    )


def _good_images(record: Mapping[str, Any]) -> str:
    """The good images of all sites, counted where a release does not hide how many there are."""
    if record.get("privacy", {}).get("epsilon") is not None:
        return "the good images themselves"
    return f"the {sum_images(record)} good images"


def sum_images(record: Mapping[str, Any]) -> int:
    """How many good images the sites learned from."""
    return sum(sum(site["images_train"].values()) for site in record["sites"].values())


def _by_record(record: Mapping[str, Any]) -> str:
    ways = {way: moved(record, way) for way in ("up", "down")}
    names = list(dict.fromkeys((w, n) for w in ways for told in ways[w].values() for n in told))
    sites = sorted(ways["up"])
    rows = [
        [f"{way}: {name}", *(f"{ways[way].get(site, {}).get(name, 0):,}" for site in sites)]
        for way, name in names
    ]
    for way, told in ways.items():
        sums = [sum(told.get(site, {}).values()) for site in sites]
        rows.append([f"{way}: all", *(f"{size:,}" for size in sums)])
    return table(["bytes by record", *sites], rows, "Serialised records, before transport deflates")


def _seconds(record: Mapping[str, Any]) -> Html:
    rows = [[f"server: {stage}", f"{seconds:.2f}"] for stage, seconds in record["seconds"].items()]
    for site, told in sorted(record["sites"].items()):
        stages = {key: value for key, value in told.items() if key.startswith("seconds_")}
        rows += [
            [f"{site}: {key.removeprefix('seconds_')}", f"{value:.2f}"]
            for key, value in stages.items()
        ]
    return table(["stage", "seconds"], rows, "The server's stages hold what sites do meanwhile")
