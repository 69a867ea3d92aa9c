"""Run the cells that are not there yet, side by side where memory allows, and never one twice."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fedad import yardsticks
from fedad.compare.cells import DONE, Cell
from fedad.compare.plan import CENTRALISED, FEDERATED, ISOLATED
from fedad.config import Config
from fedad.embedders.embedder import Embedder
from fedad.errors import FedadError
from fedad.files import write_json
from fedad.findings import Findings
from fedad.judging import Verdict
from fedad.launch import instead, run_in, sites_of
from fedad.progress import Silent, Sink, shown_by, track
from fedad.reporting.per_image import Collector
from fedad.reporting.record import figures_of
from fedad.reporting.run_folder import write_record
from fedad.reporting.tracking import tracked
from fedad.sifting import sift
from fedad.types import Site

BASE_BYTES = 2 * 2**30  # of a process with its libraries, beside the features it holds


class ComparisonError(FedadError):
    """Some cells could not be run."""


@dataclass(frozen=True)
class Job:
    """What a process needs to run one cell."""

    cell: Cell
    root: Path
    via: str


def run_cells(cells: Iterable[Cell], root: Path, *, via: str, jobs: int, sink: Sink) -> int:
    """Run every cell that `root` does not hold yet; returns how many that were.

    Args:
        jobs: how many at a time; 0 for as many as cores and memory allow. One runs in this
            process, more in processes of their own: Flower's identity of a task is a global.

    Raises:
        ComparisonError: cells failed. The others were run, and stay.
    """
    todo = [Job(cell, root, via) for cell in cells if not cell.is_done(root)]
    jobs = min(jobs or affordable(todo), len(todo))
    failures: list[str] = []
    with shown_by(sink), track("cells", len(todo)) as progress:
        finished = _in_processes(todo, jobs) if jobs > 1 else _here(todo)
        for done, (job, error) in enumerate(finished, start=1):
            if error is not None:
                failures.append(f"{job.cell.way} {job.cell.key}: {error}")
            progress(done)
    if failures:
        raise ComparisonError(
            f"{len(failures)} of {len(todo)} cells failed ({failures[0]}); the others are in "
            f"{root}: run the same command again once the cause is gone"
        )
    return len(todo)


def _here(todo: Sequence[Job]) -> Iterator[tuple[Job, FedadError | None]]:
    for job in todo:
        try:
            run_cell(job)
            yield job, None
        except FedadError as error:
            yield job, error


def _in_processes(todo: Sequence[Job], jobs: int) -> Iterator[tuple[Job, FedadError | None]]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        waiting: dict[Future[None], Job] = {pool.submit(run_cell, job): job for job in todo}
        try:
            while waiting:
                ready, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in ready:
                    yield waiting.pop(future), _failure(future)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _failure(future: Future[None]) -> FedadError | None:
    try:
        future.result()
    except FedadError as error:
        return error
    except BrokenProcessPool:
        return ComparisonError("its process died: was memory short? Try --jobs 1")
    return None


def run_cell(job: Job) -> None:
    """Run one cell into its folder; what an interrupted run left there goes first."""
    folder = job.cell.folder(job.root)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began = time.perf_counter()
    with shown_by(Silent()):
        sites = sites_of(job.cell.config)
        if job.cell.way == FEDERATED:
            run_in(folder, job.cell.config, sites, via=job.via, sink=Silent())
        else:
            _run_yardstick(folder, job.cell.way, job.cell.config, sites)
    told = {"key": job.cell.key, "way": job.cell.way, "via": job.via}
    write_json(folder / DONE, {**told, "seconds": time.perf_counter() - began})


def _run_yardstick(folder: Path, way: str, config: Config, sites: Sequence[Site]) -> None:
    """The figures of a yardstick, and what each site keeps of its images."""
    seen: dict[str, Collector] = defaultdict(Collector)

    def watch(site: Site, verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
        for verdict in verdicts:
            seen[site.name].see(verdict)
            yield verdict

    judged: Callable[..., dict[str, Findings]]
    judged = {ISOLATED: yardsticks.isolated, CENTRALISED: yardsticks.centralised}[way]
    began = time.perf_counter()
    sites = [sift(config, site).site for site in sites]
    findings = judged(config, sites, Embedder(config.embedder), watch=watch)
    for name, collector in seen.items():
        collector.write(folder / "sites" / name)
    record = {
        "name": config.round.name,
        "seed": config.round.seed,
        "config": config.flat(),
        "seconds": {way: time.perf_counter() - began},
        "instead": instead(config, sites),
        "figures": {way: figures_of(findings)},
    }
    write_record(folder, {**record, "warnings": tracked(folder, record)})


def affordable(todo: Sequence[Job]) -> int:
    """How many cells may run side by side: by cores, and by what memory is free."""
    if not todo:
        return 1
    threads = max(job.cell.config.embedder.threads for job in todo)
    need = BASE_BYTES + 3 * max(_features_bytes(job.cell.config) for job in todo)
    return max(1, min((os.cpu_count() or 1) // threads, _free_memory() // need))


def _features_bytes(config: Config) -> int:
    """Of all good images: what the centralised yardstick holds at once."""
    from fedad.embedders.backbone import grid_of

    h, w, d = grid_of(config.embedder)
    return 4 * h * w * d * sum(len(site.train) for site in sites_of(config))


def _free_memory() -> int:
    """Bytes that can be had without swapping; where the system does not say, those in no use."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def alone_in(root: Path) -> Iterator[None]:
    """Keep a second comparison out of the same folder.

    Raises:
        ComparisonError: one is at work there.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ComparisonError(f"{root}: another fedad compare is at work there") from None
        yield
