"""Which of a model's products each picture of a folder is of: one answer for every verb."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fedad.config import words
from fedad.errors import ConfigError, DataError
from fedad.types import Dataset


def named(
    dataset: Dataset, known: Sequence[str], text: str, *, recognised: bool = False
) -> Dataset:
    """The data set with samples of the model's products alone, and notes of what that changed.

    Products that `text` names are meant where the folder has them; where it has none of them, all
    of it is of the one that is named, or of the only one that the model knows.

    Args:
        known: the products of the model.
        text: `data.categories`.
        recognised: whether somebody will recognise the product of a picture that nothing tells it
            of: its category is empty then.

    Raises:
        ConfigError: `text` names a product that the model does not know.
        DataError: a folder of another product, and nothing says which of the model's it is.
    """
    wanted, own = _wanted(text, known), {*dataset.categories}
    there = own & {*(wanted or known)}
    if there and (wanted or own == there):
        kept = tuple(one for one in dataset.samples if one.category in there)
        left = len(dataset.samples) - len(kept)
        told = [f"{left} images are not used: of {_list(own - there)}"] if left else []
        return replace(dataset, samples=kept, notes=(*dataset.notes, *told))
    if recognised and not wanted and len(known) > 1:
        samples = tuple(
            one if one.category in there else replace(one, category="") for one in dataset.samples
        )
        told = [f"{_list(own - there)} names no product of the model: each picture's is recognised"]
        return replace(dataset, samples=samples, notes=(*dataset.notes, *told))
    if there or len(wanted or known) > 1:
        raise DataError(
            f"{dataset.root}: the model knows {', '.join(known)}, and not {_list(own - there)}: "
            "say which of them it is with -c data.categories=NAME"
        )
    (product,) = wanted or known
    samples = tuple(replace(one, category=product) for one in dataset.samples)
    told = [f"{_list(own)} is taken for {product}"] if own != {product} else []
    only = [*dataset.folders.values()] if len(own) == 1 else []
    folders = dict(zip([product], only, strict=False))
    return replace(dataset, samples=samples, notes=(*dataset.notes, *told), folders=folders)


def _wanted(text: str, known: Sequence[str]) -> tuple[str, ...]:
    """The products that a comma list names; a product's own name may have commas."""
    wanted = (text.strip(),) if text.strip() in known else words(text)
    if unknown := [name for name in wanted if name not in known]:
        raise ConfigError(
            f"data.categories = {text!r}: the model knows {', '.join(known)}, and not "
            f"{unknown[0]!r}: expected one of them"
        )
    return wanted


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))
