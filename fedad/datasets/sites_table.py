"""`sites.csv`: the site of each image, and whatever else its columns say.

    file,site,part                       columns in any order; more than these two may be there
    train/good/0000.png,lyon,17          a file's place below its category's folder

It lies in the category's folder, or one for all in the data set's, whose rows begin with the
category. Commas, semicolons or tabs part its cells, slashes or backslashes its paths, and any
editor's encoding is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fedad.errors import DataError
from fedad.images.pixels import SUFFIXES, shown
from fedad.plumbing.alike import in_what, pairs_alike
from fedad.plumbing.files import TOTALS, is_site_name
from fedad.plumbing.table import Row, Table, read_table
from fedad.types import Dataset, Sample

NAME = "sites.csv"
FILE, SITE = "file", "site"


def sites_of(dataset: Dataset) -> dict[Path, str]:
    """The site of each image of a data set, by the image's path.

    Raises:
        DataError: a category without a `sites.csv`, or with one that cannot be read, lacks an image
            or says two things of one; or sites whose names look alike, as a server refuses them.
    """
    found = {path: row.cells[SITE] for path, row in rows_of(dataset).items()}
    of = {site: path for path, site in found.items()}
    for one, other in pairs_alike(of):
        raise _error(
            f"{shown(of[other])}: in {NAME}, the site of this image and that of "
            f"{shown(of[one])}: {in_what(one, other)}, so that a server takes them for one: give "
            "each site one spelling"
        )
    return found


def rows_of(dataset: Dataset) -> dict[Path, Row]:
    """The row of each image of a data set, by the image's path: its line, and its cells by column,
    whose names are the file's own but for `file` and `site`.

    Raises as `sites_of` does.
    """
    by_table: dict[Path, list[Sample]] = defaultdict(list)
    for sample in dataset.samples:
        by_table[table_of(dataset, sample.category, dataset.folder(sample))].append(sample)
    found: dict[Path, Row] = {}
    for path, samples in by_table.items():
        found |= _of_table(dataset, path, samples)
    return found


def table_of(dataset: Dataset, category: str, folder: Path) -> Path:
    """Where the table of a category is: in its folder, or else in the data set's; where neither has
    one, where the first would be."""
    shared = dataset.root / NAME
    return shared if shared.exists() and not (folder / NAME).exists() else folder / NAME


def _of_table(dataset: Dataset, path: Path, samples: Iterable[Sample]) -> dict[Path, Row]:
    images = _Images(dataset, samples)
    found: dict[Path, Row] = {}
    rows = list(_rows(path))
    for row in rows:
        image = images.named(row.cells[FILE], path, row.line)
        if image is None:
            continue  # of an image that is gone, or of a category that was not asked for
        if (other := found.setdefault(image, row)).cells[SITE] != row.cells[SITE]:
            raise _error(
                f"{path}: line {row.line}: {row.cells[FILE]!a:.200} is of {other.cells[SITE]} and "
                f"of {row.cells[SITE]}"
            )
    for sample in images.samples:
        if sample.path not in found:
            why = (
                "was the image added later, or are paths in it not below the category's folder?"
                if found
                else _none_named(rows)
            )
            raise _error(f"{path}: {images.place(sample)} is not listed: {why}")
    return found


def _none_named(rows: Sequence[Row]) -> str:
    """Why a table lists no image at all."""
    if not rows:
        return "the table has no row but that of its columns"
    return f"none of its rows names an image, such as the first one's {rows[0].cells[FILE]!a:.80}"


class _Images:
    """The images that a table may name, by how it may name them."""

    def __init__(self, dataset: Dataset, samples: Iterable[Sample]) -> None:
        self.dataset, self.samples = dataset, list(samples)
        self.folders = {sample.category: dataset.folder(sample) for sample in self.samples}
        self.at = {(one.category, self.place(one)): one.path for one in self.samples}
        self.folded: dict[tuple[str, str], list[Path]] = defaultdict(list)  # in any capitals
        for (category, place), image in self.at.items():
            self.folded[category, place.casefold()].append(image)
        self.by_file: dict[str, list[Path]] = defaultdict(list)
        for sample in self.samples:
            self.by_file[sample.path.name].append(sample.path)

    def place(self, sample: Sample) -> str:
        folder = self.folders[sample.category]
        return sample.path.relative_to(folder).as_posix()

    def named(self, cell: str, path: Path, line: int) -> Path | None:
        """The image that a cell names: below its category's folder or any folder above it."""
        parts = [part for part in cell.replace("\\", "/").split("/") if part not in ("", ".")]
        for category, folder in self.folders.items():
            own = len(self.folders) == 1
            for k in range(len(parts)):
                fits = parts[k - 1] in (category, folder.name) if k else own
                image = self.at.get((category, "/".join(parts[k:])))
                if fits and image is not None:
                    return image
        for category in self.folders if len(self.folders) == 1 else ():
            alike = self.folded.get((category, "/".join(parts).casefold()), [])
            if len(alike) == 1:  # a system that tells no capitals apart wrote the table
                return alike[0]
        if len(parts) == 1 and (same := self.by_file.get(parts[0])):
            if len(same) > 1:
                raise _error(
                    f"{path}: line {line}: {cell!a:.200} may be any of {len(same)} images of this "
                    f"name: expected a place such as {self.place(self.samples[0])}"
                )
            return same[0]
        return None


def _rows(path: Path) -> Iterable[Row]:
    """The rows with their columns called `file` and `site`, each of which says both."""
    table = _table(path)
    file, site = table.column((FILE,)), table.column((SITE,))
    if file is None or site is None:
        headless = any(cell.lower().endswith(SUFFIXES) for cell in table.columns)
        why = ": is the row missing that names the columns?" if headless else ""
        raise _error(
            f"{path}: expected the columns file,site, got {list(table.columns)[:9]!a:.200}{why}"
        )
    for row in table.rows:
        yield _checked(path, row, file, site)


def _checked(path: Path, row: Row, file: str, site: str) -> Row:
    name, where = row.cells[file], row.cells[site]
    if not name or not where or not is_site_name(where):
        raise _error(
            f"{path}: line {row.line}: expected a file and a site, none of {', '.join(TOTALS)}, "
            "and named by up to 64 letters that may name a folder, no outer spaces, "
            f"without comma and =, got {name!a:.200} and {where!a:.200}"
        )
    cells: Mapping[str, str] = {**row.cells, FILE: name, SITE: where}
    return Row(row.line, cells)


def _table(path: Path) -> Table:
    if not path.is_file():
        what = "is no file" if path.exists() else f"there is no such file{_nearly(path)}"
        raise _error(
            f"{path}: {what}, and data.partition = 'natural' needs the site of each "
            "image in it (columns file,site): set data.partition to iid, category or dirichlet?"
        )
    try:
        return read_table(path)
    except (OSError, ValueError) as error:
        raise _error(f"{shown(path)}: cannot be read as a table ({error})") from error


def _nearly(path: Path) -> str:
    """A file beside a table's place that could be meant, such as `Sites.CSV` or `sites.csv.txt`."""
    folder = path.parent
    names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    found = next((name for name in names if name.casefold().startswith("sites.")), "")
    return f" (there is {found!a:.80}: is it meant?)" if found else ""


def _error(message: str) -> DataError:
    return DataError(message, reason="sites")
