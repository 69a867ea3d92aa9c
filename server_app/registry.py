"""Which node is which site: one site, one identity.

A site's name is what its key was registered with at the SuperLink (`fedad register`), and what it
says itself has to be the same. Where no node has a registered name, as in a simulation, they are
believed. Two that say the same are both left out: nobody can tell which of them it is.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from flwr.common.constant import HEARTBEAT_INTERVAL_INF
from flwr.serverapp import Grid

from fedad import __version__
from fedad.config import Config, RoundKnobs, words
from fedad.embedders.handshake import Probe, Seen, compare, seen
from fedad.errors import ConfigError, DataError, FedadError
from fedad.methods.base import Foreseeing, method_of
from fedad.plumbing.alike import Looks, in_what, pairs_alike
from fedad.plumbing.files import TOTALS, is_site_name
from fedad.plumbing.shown import for_log
from server_app.exchange import Reply
from server_app.quarantine import Introduction, printable, sentence

LONGEST_REASON = 700  # characters: two fingerprints, and in what they differ
VERSION = re.compile(r"([0-9]{1,6})\.([0-9]{1,6})(?![0-9])")
MOST_WARNINGS = 20  # of products that look alike
Names = dict[int, str]  # node -> the name that its key was registered with, or ""


class RunRefusedError(FedadError):
    """The sites did not give what the run needs."""


@dataclass
class SiteLog:
    """What the server knows of a site; all of it may stand in the record."""

    node: int | None  # None: not there now, what it gave before the run was resumed counts
    about: dict[str, Any]
    told: dict[str, Any] = field(default_factory=dict)
    seen: Seen | None = None  # how it embeds; None: not asked since the run was resumed


class Online(NamedTuple):
    """The nodes that are there."""

    names: Names
    virtual: bool  # a simulation's, all of them: nobody has registered their keys


def online(grid: Grid) -> Online:
    """The nodes that are there; a simulation's need never be heard of again."""
    nodes = list(grid.get_nodes())
    virtual = all(one.heartbeat_interval >= HEARTBEAT_INTERVAL_INF for one in nodes)
    return Online({one.node_id: one.name for one in nodes}, virtual)


def wait_for(grid: Grid, expected: tuple[str, ...], count: int, seconds: float) -> Online:
    """The nodes, once all expected are there or time is up: at a start Flower may list fewer.

    Virtual nodes have no names, and are counted. So are real ones if no site is expected by name;
    else those without a name may be anybody, and end no waiting.
    """
    deadline = time.monotonic() + seconds
    while True:
        names, virtual = online(grid)
        complete = len(names) >= count
        if expected and not virtual:
            complete = {*names.values()} >= {*expected}
            names = {node: name for node, name in names.items() if not name or name in expected}
        if complete or time.monotonic() > deadline:
            return Online(dict(sorted(names.items())), virtual)
        time.sleep(0.2)


class Register:
    """The sites that have said who they are, and why others do not take part."""

    def __init__(
        self, registered: Names, expected: tuple[str, ...], knobs: RoundKnobs | None = None
    ) -> None:
        self.registered, self.expected = registered, expected
        self.knobs = knobs or RoundKnobs()
        self.sites: dict[str, SiteLog] = {}
        self.missing: dict[str, str] = {}
        self.words: dict[str, str] = {}  # of those whose introduction was refused, why in a word
        self.left_out: list[str] = []
        self.seen: set[str] = set()
        self.looks = Looks()  # of the names of `sites`
        self.probes: dict[str, Probe] = {}  # of `sites`, until they are compared

    def enter(self, reply: Reply, read: Callable[[Reply], Introduction]) -> None:
        """Take an answer to the question who a node is.

        Args:
            read: what an answer says; what it cannot read it raises.

        Raises:
            OSError: what cannot be read could not be put aside either.
        """
        known = self.registered.get(reply.node, "")
        called = known or f"node {reply.node}"
        if reply.message is None:
            self.missing[called] = reply.reason
            return
        try:
            name, about, probe = read(reply)
        except OSError:  # of the server's own disk
            raise
        except Exception as error:  # whatever a hostile message leads to
            self._lose(called, sentence(error), getattr(error, "reason", "content"))
            return
        if wrong := _why_not(name, about, known) or self._nameless(known):
            self._lose(called, printable(wrong), "identity")
        elif wrong := _too_many(about, self.knobs.largest_test_set):
            self._lose(called, printable(wrong), "counts")
        elif name in self.seen:
            self.sites.pop(name, None)
            self.probes.pop(name, None)
            self.looks.drop(name)
            told = f"two nodes say that they are site {name!r}: has it an old key too?"
            self._lose(name, told, "identity")
        elif twin := self.looks.like(name):
            told = f"its name {name!r} could be taken for {twin!r}, which takes part: rename it"
            self._lose(name, printable(told), "identity")
        elif self.expected and name not in self.expected:
            self.left_out.append(f"site {name} is not in round.expected and was left out")
        else:
            self.sites[name], self.probes[name] = SiteLog(reply.node, dict(about)), probe
            self.looks.enter(name)
        self.seen.add(name)

    def _nameless(self, known: str) -> str:
        if known or not any(self.registered.values()):
            return ""
        return "its key was registered without a name: fedad register gives it one"

    def _lose(self, called: str, reason: str, word: str) -> None:
        self.missing[called], self.words[called] = reason, word

    def close(self) -> list[str]:
        """Leave out who does not embed as the others do; return what is odd about who stays.

        Who was expected and was not heard of at all is missing.
        """
        hands = compare(self.probes, self.knobs.fingerprint)
        for name, reason in hands.refused.items():
            del self.sites[name]
            self._lose(name, for_log(reason, LONGEST_REASON), "probe")
        for name, probe in self.probes.items():
            if name in self.sites:
                self.sites[name].seen = seen(probe)
        self.probes.clear()
        for name in self.expected:
            if name not in self.sites:
                self.missing.setdefault(name, "it did not come")
        others = [
            f"site {name} runs fedad {site.about['version']}, the server {__version__}"
            for name, site in sorted(self.sites.items())
            if site.about.get("version", __version__) != __version__
        ]
        return [*hands.warnings, *map(printable, others)]


def _why_not(name: str, about: Mapping[str, Any], registered: str) -> str:
    if name in TOTALS or name.startswith("node "):
        return f"its name {name!r} stands for other things in the record: give it another"
    if not is_site_name(name):
        return f"its name {name!r} cannot be a file's, or has a comma or =, or outer spaces"
    if registered not in ("", name):
        return f"its key is registered as {registered!r}, and it says that it is {name!r}"
    if not are_neighbours(about["version"], __version__):
        return (
            f"it runs fedad {about['version']}, the server {__version__}: expected neighbouring "
            "versions"
        )
    return ""


def are_neighbours(one: str, other: str) -> bool:
    """Whether two versions take part in one run: of one major number, at most one minor apart.

    What they send is held against one schema, and their networks against one another's features.
    """
    if one == other:
        return True
    found = [VERSION.match(text) for text in (one, other)]
    if not (found[0] and found[1]):
        return False
    (major, minor), (its, small) = ([int(part) for part in f.groups()] for f in found if f)
    return major == its and abs(minor - small) <= 1


def _too_many(about: Mapping[str, Any], most: int) -> str:
    """Why a site's test images count for too much: nobody but the site itself has seen them."""
    for category, images in about["test"].items():
        if images > most:
            return (
                f"it says that it has {images:,} test images of {category!r}, and "
                f"round.largest-test-set = {most:,}: raise it if that is true"
            )
    return ""


def _look_alikes(sites: Mapping[str, Any]) -> Iterator[str]:
    """Products of two names that could be taken for one another: one product would be two."""
    whose: dict[str, str] = {}
    for site, about in sites.items():
        whose |= {name: site for name in (*about["train"], *about["test"]) if name not in whose}
    for one, other in islice(pairs_alike(whose), MOST_WARNINGS):
        yield printable(
            f"the products {in_what(one, other)} (sites {whose[one]} and {whose[other]}): if it "
            "is one product, rename it at one of them, else a person takes them for one another"
        )


def check_sites(config: Config, sites: Mapping[str, Any], *, per_image: int) -> list[str]:
    """Refuse what cannot end well, as far as counts of images tell; return warnings.

    Where the run goes on without some sites (`round.min-sites`), it is not ended either by what one
    of them says.

    Args:
        sites: what each site that is left says of itself.
        per_image: patches of an image; 0 where no site has said.

    Raises:
        DataError: nobody has a good image of a product that is to be judged, or the names of two
            products could be taken for one another.
        ConfigError: a `bank.size` above what the sites can upload.
    """
    lenient = config.round.min_sites > 0
    learned = {category for about in sites.values() for category in about["train"]}
    warnings = [
        f"site {name} has no good training image: it takes part in judging only"
        for name, about in sites.items()
        if not about["train"]
    ]
    warnings += [
        f"site {name} says nothing of {', '.join(about['withheld'])}: it has fewer test images of "
        "it than its policy's smallest-group"
        for name, about in sites.items()
        if about.get("withheld")
    ]
    look_alikes = list(_look_alikes(sites))
    if look_alikes and not lenient:
        raise DataError(look_alikes[0])
    warnings += look_alikes
    for name, about in sites.items():
        for unknown in sorted(set(about["test"]) - learned):
            told = f"site {name} has test images of {unknown!r}, of which no site has a good image"
            if not lenient:
                raise DataError(told)
            warnings.append(f"{told}: they are not judged")
    try:
        method = method_of(config)
        if per_image and isinstance(method, Foreseeing):
            method.foresee([about["train"] for about in sites.values()], per_image)
    except ConfigError as error:
        if not lenient:
            raise
        warnings.append(f"{error} (it is made to fit what comes, since round.min-sites allows it)")
    return warnings


def too_few(config: Config, nodes: Names) -> str:
    """Why a run cannot begin with the nodes that came."""
    expected, names = words(config.round.expected), set(nodes.values()) - {""}
    came = f"came in {config.round.enrol_seconds:.0f} s"
    if expected and names:
        absent = ", ".join(sorted({*expected} - names))
        return (
            f"round.expected: {absent} did not come, {len(nodes)} of {len(expected)} sites {came}"
        )
    return (
        f"data.sites = {config.data.sites}, and {len(nodes)} nodes {came}: "
        "are all SuperNodes up, or is num-supernodes lower?"
    )
