"""What a model was made from: a dictionary for its folder, and a page for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fedad import __version__
from fedad.config import Config
from fedad.messages.payload import Payload
from fedad.methods.base import method_of
from fedad.models.checked import Checked
from fedad.models.kept import SCHEMA
from fedad.plumbing.backbones import licence_of
from fedad.plumbing.moments import utc_text
from fedad.plumbing.shown import for_markdown
from fedad.running.thresholds_file import Limits


def passport_of(
    config: Config,
    model: Payload,
    *,
    site: str,
    source: str,
    own_judges: bool,
    found: Sequence[Checked],
    receipt: Mapping[str, Any] | None = None,
    licence: str = "",
) -> dict[str, Any]:
    """What there is to say of a model.

    Args:
        site: that keeps it.
        source: how it came here, in words.
        own_judges: whether the site's own rows judge beside it.
        found: how it judged the site's own pictures.
        receipt: what the site's release did to its upload, if it has sent one.
        licence: of the site's images, where a file or its data set says so.
    """
    told = method_of(config).describe(model)
    licences = {"images": licence, "backbone": licence_of(model.fingerprint.backbone)}
    return {
        "schema": SCHEMA,
        "site": site,
        "source": source,
        "made": utc_text(),
        "version": __version__,
        "method": config.round.method,
        "products": list(model.categories),
        "sites": list(model.sites),
        "model": told,
        "fingerprint": vars(model.fingerprint),
        "own_judges": own_judges,
        "figures": figures(found),
        "receipt": dict(receipt) if receipt else None,
        "licences": {name: text for name, text in licences.items() if text},
        "config": config.flat(),
    }


def figures(found: Sequence[Checked]) -> dict[str, dict[str, int]]:
    """By product, how many of the site's own pictures were judged and stopped. Good parts that a
    threshold rests on are counted apart: they are stopped as often as promised by construction."""
    told: dict[str, dict[str, int]] = {}
    for one in found:
        kind = "defective" if not one.is_good else ("resting" if one.rests else "good")
        counts = told.setdefault(one.product, {})
        counts[kind] = counts.get(kind, 0) + 1
        counts[f"{kind}_stopped"] = counts.get(f"{kind}_stopped", 0) + one.stopped
    return told


class Section(NamedTuple):
    """A part of what there is to say of a model: a table, or one sentence."""

    title: str
    head: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    text: str = ""


def sections(told: Mapping[str, Any], limits: Mapping[str, Limits]) -> list[Section]:
    """Sites, images, promises, figures, embedding, privacy and licences of a model."""
    facts = {
        "kept by": told["site"] or "-",
        "source": told["source"],
        "made": f"{told['made']}, fedad {told['version']}",
        "method": told["method"],
        "sites": ", ".join(told["sites"]),
        "products": ", ".join(told["products"]),
        "judges with the site's own rows": "yes" if told["own_judges"] else "no",
    }
    counted = told["model"].get("images_by_site") or told["model"].get("images_by_category") or {}
    judged = [
        (product, *(_share(counts, kind) for kind in ("good", "resting", "defective")))
        for product, counts in told["figures"].items()
    ]
    kinds = ("product", "good stopped", "good that thresholds rest on", "defective stopped")
    return [
        Section("", ("", ""), [*facts.items()]),
        Section("Images", ("of", "good images"), [(k, _counts(v)) for k, v in counted.items()]),
        Section(
            "Promises",
            ("product", "promise"),
            [(product, one.promise.told()) for product, one in limits.items()],
        ),
        Section("Figures on the site's own pictures", kinds, judged),
        Section("Embedding", ("", ""), [*told["fingerprint"].items()]),
        *_beside(told),
        Section("Privacy", text=_privacy(told["receipt"])),
        Section("Licences", ("", ""), [*told["licences"].items()]),
    ]


def _beside(told: Mapping[str, Any]) -> list[Section]:
    """What was added to a model, and what must be done for it; nothing where nothing was."""
    rows = [(name, f"must be set anew: {why}") for name, why in told.get("stale", {}).items()]
    found = [Section("Stale thresholds", ("product", "threshold"), rows)] if rows else []
    if count := told.get("extras"):
        text = f"{count} pictures that were called good judge beside it (`fedad model normal`)."
        found.append(Section("Added normals", text=text))
    return found


def card(name: str, told: Mapping[str, Any], limits: Mapping[str, Limits]) -> str:
    """A model's card, in Markdown; see `sections`."""
    lines = [f"# Model {name}"]
    for one in sections(told, limits):
        lines += ["", f"## {one.title}", ""] if one.title else [""]
        lines += [one.text] if one.text else _table(one.head, one.rows)
    return "\n".join(lines) + "\n"


def in_lines(name: str, told: Mapping[str, Any], limits: Mapping[str, Limits]) -> list[str]:
    """The same for a terminal."""
    lines = [f"model {name}"]
    for one in sections(told, limits):
        lines += [one.title] * bool(one.title) + [f"  {one.text}"] * bool(one.text)
        for first, *cells in one.rows:
            named = zip(one.head[1:], cells, strict=True)
            said = [f"{of} {cell}" if len(cells) > 1 else f"{cell}" for of, cell in named]
            lines.append(f"  {first}: {', '.join(said)}")
    return lines


def _privacy(receipt: Mapping[str, Any] | None) -> str:
    if not receipt:
        return "This site has no receipt of an upload: the model was built alone, or came by hand."
    if "epsilon" not in receipt:
        return "Unprotected: whoever holds this site's upload may learn anything of its images."
    return (
        f"Release {for_markdown(receipt.get('release'))}: epsilon {receipt['epsilon']:g} at delta "
        f"{receipt.get('delta', 0):g} an {for_markdown(receipt.get('unit', 'image'))}; the site's "
        "ledger has what all its releases cost together (`fedad privacy show`)."
    )


def _share(counts: Mapping[str, int], kind: str) -> str:
    return f"{counts.get(f'{kind}_stopped', 0)} of {counts[kind]}" if counts.get(kind) else "-"


def _counts(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {count}" for name, count in value.items())
    return str(value)


def _table(head: Sequence[str], rows: Any) -> list[str]:
    made = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return made + [f"| {' | '.join(str(for_markdown(cell)) for cell in row)} |" for row in rows]
