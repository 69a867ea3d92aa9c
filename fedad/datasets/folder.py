"""A folder of one's own pictures, flat or nested, with or without masks.

    ROOT/good/*.jpg  ROOT/bad/*.jpg                 one product, which is called as ROOT is
    ROOT/<product>/OK/*.png  .../NG/<defect>/*.png  folders around them are products
    ROOT/{train,test}/{normal,<defect>}/*           where there is a split, it is kept
    ROOT/*.jpg                                      only good images, or one file

Folders of good images are called good, ok, normal or the like, however they are spelled; any other
folder beside one is of a defect. A mask lies beside its image (`NAME_mask.png`), or in a folder
`ground_truth` or `masks`, or is called as a JPEG beside it (`NAME.png`) and has two values at most.
Of pictures that no folder says anything of, those with a mask are of a defect. Folders called by a
batch or a day change nothing. A table (`*.csv`) with a column of files and one of labels says more
than folders do. Where nothing says what is for testing, defects are, and as many good images, the
last by name, since names count time; at most half of them.

Licence: whoever took the pictures has it; a file that says so is named.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fedad.datasets._choose import chosen
from fedad.datasets._folder import Seen, Sorted, sort_pictures
from fedad.datasets._folder_masks import marked, masks_of
from fedad.datasets._folder_table import apply_tables
from fedad.datasets._found import Odd
from fedad.datasets._labels import labelled_apart
from fedad.datasets._place import check_names, nothing_at, tree_error, unreadable
from fedad.datasets._walk import File, leads_nowhere, walk
from fedad.datasets._words import role_of
from fedad.datasets.layout import NOT_GOOD
from fedad.images.pixels import SUFFIXES, shown
from fedad.types import GOOD, VALIDATION, Channel, Dataset, Sample, Unused

__all__ = ["folder"]

OF_NEITHER = "in no folder that says good or of which defect"


def folder(root: Path, *, categories: Sequence[str] = ()) -> Dataset:
    """The samples of a folder of pictures, or of one picture.

    Raises:
        DataError: no picture, or folders of which none says that its pictures are good; the message
            says what was found.
    """
    try:
        return _folder(root, categories)
    except OSError as error:
        raise unreadable(root, error) from error


def _folder(root: Path, categories: Sequence[str]) -> Dataset:
    odd = Odd()
    base, files = listed(root, odd)
    files = [file for file in files if not odd.licence(file)]
    found = sort_pictures(files)
    found, tables = apply_tables(base, files, found, odd)
    found = _labelled(base, found, tables)
    found = found if tables else marked(found, base)
    samples, folders = _samples(base, found, odd)
    samples, folders, notes = _chosen(root, samples, folders, categories)
    _name_rest(base, files, found, samples, odd)
    if not samples:
        told = ", ".join(f"{shown(path)} ({why})" for path, why in odd.unused[:3])
        raise tree_error(f"{root}: no image in it that is used: found {told or 'nothing else'}")
    return Dataset(
        name="folder",
        root=base,
        licence=_licence(odd),
        samples=tuple(samples),
        faults=odd.faults(samples),
        unused=tuple(sorted(odd.unused)),
        notes=(*tables, *notes),
        folders=folders,
    )


def listed(root: Path, odd: Odd) -> tuple[Path, list[File]]:
    """The folder and the files below it, or the one file and its folder.

    Raises:
        OSError, DataError: no such folder, or no picture in it.
    """
    if root.is_file():
        if root.suffix.lower() not in SUFFIXES:
            raise tree_error(f"{root}: expected a folder, or an image: {', '.join(SUFFIXES)}")
        return root.parent, [File(root, root.name)]
    if not root.is_dir():
        raise nothing_at(root)
    tree = walk(root)
    odd.left(root.name, tree.left)
    if not any(file.path.suffix.lower() in SUFFIXES for file in tree.files):
        endings = Counter(map(_ending, tree.files))
        told = ", ".join(f"{n} {ending}" for ending, n in endings.most_common(4))
        raise tree_error(
            f"{root}: no image in it: expected files ending in {', '.join(SUFFIXES)}, found "
            f"{told or 'no file at all'}"
        )
    return root, tree.files


def _ending(file: File) -> str:
    """How a file that is no image ends, in words."""
    if leads_nowhere(file.path):
        return "links that lead nowhere"
    return f"of {file.path.suffix.lower() or 'no ending'}"


def _labelled(root: Path, found: Sorted, tables: Sequence[str]) -> Sorted:
    """The pictures with what is good settled where no folder says so: all are, if no folder could
    be of a defect."""
    if tables or any(one.defect for one in found.seen):
        return found
    own = role_of(root.resolve().name)
    if own == "bad" or any(one.product for one in found.seen):
        counts = Counter(one.file.place.rpartition("/")[0] or "." for one in found.seen)
        told = ", ".join(f"{n} images in {shown(Path(f))}" for f, n in counts.most_common(5))
        raise tree_error(
            f"{root}: no folder is called good, ok or normal, and nothing is learned from what may "
            f"be defects: found {told}: rename the folder of good images?"
        )
    return found._replace(seen=[one._replace(defect=GOOD) for one in found.seen])


def _samples(root: Path, found: Sorted, odd: Odd) -> tuple[list[Sample], dict[str, Path]]:
    products = {one.product for one in found.seen if one.defect}
    names = {product: product_name(root, product) for product in products}
    check_names({names[product]: root.joinpath(*product) for product in sorted(products)})
    masks = masks_of([one for one in found.seen if one.defect not in (GOOD, "")], found.masks)
    samples: list[Sample] = []
    for product in sorted(products):
        own = [one for one in found.seen if one.product == product and one.defect]
        samples += _of_product(names[product], _split(own), masks, odd)
    folders = {names[product]: root.joinpath(*product) for product in products}
    return samples, {name: path if path.is_dir() else root for name, path in folders.items()}


def product_name(root: Path, product: tuple[str, ...]) -> str:
    """What a product is called: as the folders around its pictures, or as the root."""
    if product:
        return "-".join(product)
    real = root.resolve()
    while role_of(real.name) in ("good", "bad", "train", "test") and real.parent != real:
        real = real.parent
    return real.name


def _split(own: Sequence[Seen]) -> list[Seen]:
    """Pictures with their split; see the file's docstring."""
    if any(one.split for one in own):
        return [one if one.split else one._replace(split=_own_split(one)) for one in own]
    good = sorted((one for one in own if one.defect == GOOD), key=lambda one: one.file.path.name)
    bad = sum(one.defect != GOOD for one in own)
    judged = {one.file.place for one in good[len(good) - min(bad, len(good) // 2) :]}
    return [
        one._replace(split="test" if one.defect != GOOD or one.file.place in judged else "train")
        for one in own
    ]


def _own_split(one: Seen) -> str:
    return "train" if one.defect == GOOD else "test"


def _of_product(
    category: str, own: Sequence[Seen], masks: Mapping[str, tuple[Channel, ...]], odd: Odd
) -> list[Sample]:
    samples = []
    groups: dict[tuple[str, str], list[Seen]] = defaultdict(list)
    for one in own:
        if one.split == VALIDATION and one.defect != GOOD:
            odd.note(category, "aside", one.file.path, NOT_GOOD)
        elif one.split == "train" and one.defect != GOOD:
            odd.learned(category, one.file)
        else:
            groups[one.split, one.defect].append(one)
    for (split, defect), group in sorted(groups.items()):
        short = {one.file.place: "/".join((*one.more, one.file.path.stem)) for one in group}
        labels = labelled_apart([one.file for one in group], short)
        for one in sorted(group, key=lambda one: one.file.path):
            found = () if defect == GOOD else masks.get(one.file.place)
            samples.append(
                Sample(category, split, defect, one.file.path, found, label=labels[one.file.place])
            )
    return samples


def _chosen(
    root: Path, samples: list[Sample], folders: dict[str, Path], categories: Sequence[str]
) -> tuple[list[Sample], dict[str, Path], list[str]]:
    """The products wanted. One that is called as its folder is may be given another name."""
    only = next(iter(folders)) if len(folders) == 1 else ""
    if len(categories) == 1 and only and categories[0] not in folders and folders[only] == root:
        (name,) = categories
        check_names({name: root})
        renamed = [replace(one, category=name) for one in samples]
        return renamed, {name: root}, [f"{only} is called {name}, as data.categories says"]
    wanted = chosen(categories, folders, root)
    kept = [one for one in samples if one.category in wanted]
    return kept, {name: folders[name] for name in wanted}, []


def _name_rest(
    root: Path, files: Sequence[File], found: Sorted, samples: Sequence[Sample], odd: Odd
) -> None:
    """Every file that no sample uses, with the reason."""
    used = {one.path for one in samples} | {path for path, _ in odd.unused}
    used |= {channel.path for one in samples for channel in one.masks or ()}
    masks = {file.place for file in found.masks}
    nameless = {one.file.place for one in found.seen if not one.defect}
    for file in files:
        if file.path in used or file.path.name == "sites.csv":
            continue
        if file.place in masks:
            odd.note(root.name, "spare-mask", file.path, "a mask of a good image, or of none")
        elif file.place in nameless:
            odd.note(root.name, "unread", file.path, OF_NEITHER)
        elif file.path.suffix.lower() in SUFFIXES:
            odd.unused.append(Unused(file.path, "of a product that was not asked for"))
        else:
            odd.other(root.name, file)


def _licence(odd: Odd) -> str:
    if odd.licences:
        return f"see {', '.join(shown(path) for path in odd.licences[:3])}"
    return "not known: these are your own pictures, or nobody said whose"
