"""A site's ledgers before a run: can they be believed, are the seals there, does a run fit in?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fedad.config import Config
from fedad.deploy.checks import Check, attempt
from fedad.dp import mirror as mirrors
from fedad.dp.account import Ledger, LedgerError
from fedad.dp.ledger import exists, read
from fedad.privacy.base import asked_of_images, is_private, planned
from fedad.running.seals import seals

FIX = (
    "put the newest whole copy back, or ask for less; a new budget is a decision of the site's: "
    "docs/privacy.md"
)


@dataclass(frozen=True)
class Ledgers:
    """A site's account of what it released, and a configuration that would be drawn on it.

    Args:
        root: the folder of the ledgers.
        output: the site's own folder, with the seals of its last runs.
        mirror: the folder of the ledgers' copies, if the site has them.
    """

    config: Config
    site: str
    root: Path
    output: Path
    mirror: Path | None = None

    def checks(self, images: Mapping[str, int]) -> Iterator[Check]:
        """A check for each product that has a ledger, or would need one.

        Args:
            images: product -> how many good images the site has, which is told here alone.
        """
        private = is_private(self.config)
        asked = [name for name in sorted(images) if private or exists(self.root, self.site, name)]
        if not asked:
            yield Check("ledger", True, "none: nothing here is released with differential privacy")
        for product in asked:
            yield attempt("ledger", partial(self.told, product, images[product]), FIX)

    def told(self, product: str, images: int) -> str:
        """What is left of a product's budget.

        Raises:
            FedadError: a run of this configuration would be refused, and why.
        """
        from fedad.dp.statement import in_words

        ledger = read(self.root, self.site, product)
        if self.mirror:
            mirrors.check(ledger, self.mirror)
        if not is_private(self.config):
            raise LedgerError(
                f"{ledger.folder}: nothing of {product!r} leaves without differential privacy, "
                f"and privacy.release is {self.config.privacy.release!r}"
            )
        late = _matched(ledger, self.output)
        ledger.check(planned(self.config))
        told = [next(iter(in_words(ledger))), "the release that is asked for fits"]
        if late:
            told.append(f"{late} sealed and not debited, which the next request does")
        if images < (wanted := asked_of_images(self.config)):
            told.append(
                f"WARNING: {images} good images, and by the rule it takes some {wanted} at this "
                "epsilon for half of what federation brings to be left"
            )
        return "; ".join(told)


def _matched(ledger: Ledger, output: Path) -> int:
    """How many draws are sealed and not debited, having seen that each debit of a run whose folder
    is still there has its seal.

    Raises:
        LedgerError: a seal is lost, or is of other bytes than were debited.
    """
    sealed = {(draw.run, draw.stage): draw for draw in seals(output, ledger.terms.product)}
    for one in ledger.debits:
        run, stage, upload = one.draw.run, one.draw.stage, one.draw.upload
        if not (output / run).is_dir():  # of runs before the last ones nothing is kept
            continue
        seal = sealed.pop((run, stage), None)
        if seal is None or seal.upload != upload:
            what = "of other bytes" if seal else "not there, or cannot be read"
            raise LedgerError(
                f"{output / run}: the seal of {stage} is {what}, and {ledger.folder} has a debit "
                "of it: nothing is drawn in its place"
            )
    debited = {one.draw.upload for one in ledger.debits}
    return sum(draw.upload not in debited for draw in sealed.values())
