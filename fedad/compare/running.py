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
from fedad.compare.cells import DONE, RunCell
from fedad.compare.plan import AT_SITE, CENTRALISED, FEDERATED, ISOLATED
from fedad.config import Config
from fedad.embedders.embedder import Embedder
from fedad.errors import FedadError
from fedad.judging.findings import Findings
from fedad.judging.parts import ready
from fedad.judging.verdicts import Verdict
from fedad.plumbing.files import private_file, private_folder, write_json
from fedad.plumbing.memory import available
from fedad.plumbing.progress import Silent, Sink, shown_by, track
from fedad.reporting.per_image import Collector
from fedad.reporting.record import SCHEMA, figures_of
from fedad.reporting.run_folder import write_record
from fedad.reporting.tracking import tracked
from fedad.running.launch import instead, run_in, sites_of
from fedad.types import Site

BASE_BYTES = 2 * 2**30  # of a process with its libraries, beside the features it holds


class ComparisonError(FedadError):
    """Some cells could not be run."""


@dataclass(frozen=True)
class Job:
    """What a process needs to run one cell."""

    cell: RunCell
    root: Path
    via: str
    beside: int = 1  # how many cells run at a time: beside others, seconds say little


def run_cells(cells: Iterable[RunCell], root: Path, *, via: str, jobs: int, sink: Sink) -> int:
    """Run every cell that `root` does not hold yet; returns how many that were.

    Args:
        jobs: how many at a time; 0 for as many as cores and memory allow, under Flower one, whose
            sites take all cores by turns. One runs in this process, more in processes of their
            own: Flower's identity of a task is a global.

    Raises:
        ComparisonError: cells failed. The others were run, and stay.
    """
    some = [cell for cell in cells if not cell.is_done(root)]
    jobs = max(1, min(jobs or affordable(some, via), len(some)))
    todo = [Job(cell, root, via, jobs) for cell in some]
    failures: list[str] = []
    first: Exception | None = None
    with shown_by(sink), track("cells", len(todo)) as progress:
        finished = in_processes(todo, jobs) if jobs > 1 else _here(todo)
        for done, (job, error) in enumerate(finished, start=1):
            if error is not None:
                first = first or error
                failures.append(f"{job.cell.way} {job.cell.key}: {_said(error)}")
            progress(done)
    if failures:
        raise ComparisonError(
            f"{len(failures)} of {len(todo)} cells failed ({failures[0]}); the others are in "
            f"{root}: run the same command again once the cause is gone"
        ) from first
    return len(todo)


def _here(todo: Sequence[Job]) -> Iterator[tuple[Job, Exception | None]]:
    for job in todo:
        try:
            run_cell(job)
        except Exception as error:  # a full disk, or whatever befell this cell alone
            yield job, error
        else:
            yield job, None


def in_processes(
    todo: Sequence[Job], jobs: int, run: Callable[[Job], None] | None = None
) -> Iterator[tuple[Job, Exception | None]]:
    """Every job as it ends, with what went wrong, `jobs` at a time by `run` or `run_cell`.

    A worker has one job and no other in wait: one that is killed takes one cell with it, and who
    stops early starts no further one.
    """
    waiting, running = list(reversed(todo)), dict[Future[None], tuple[Job, ProcessPoolExecutor]]()
    idle = [_worker() for _ in range(jobs)]
    try:
        while waiting or running:
            while waiting and idle:
                job, worker = waiting.pop(), idle.pop()
                running[worker.submit(run or run_cell, job)] = job, worker
            ready, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ready:
                job, worker = running.pop(future)
                error = _failure(future)
                if isinstance(error, BrokenProcessPool):
                    worker.shutdown()
                    worker = _worker()
                idle.append(worker)
                yield job, error
    finally:
        for worker in (*idle, *(worker for _, worker in running.values())):
            worker.shutdown(cancel_futures=True)


def _worker() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def _failure(future: Future[None]) -> Exception | None:
    """What befell the cell; who is interrupted stops everything."""
    try:
        future.result()
    except Exception as error:
        return error
    return None


def _said(error: Exception) -> str:
    if isinstance(error, BrokenProcessPool):
        return "its process died: was memory short? Try --jobs 1"
    return str(error) if isinstance(error, FedadError) else f"{type(error).__name__}: {error}"


def run_cell(job: Job) -> None:
    """Run one cell into its folder; what an interrupted run left there goes first."""
    folder = job.cell.folder(job.root)
    shutil.rmtree(folder, ignore_errors=True)
    private_folder(folder)
    began = time.perf_counter()
    job.cell.check_images()
    with shown_by(Silent()):
        sites = sites_of(job.cell.config)
        if job.cell.way == FEDERATED:
            run_in(folder, job.cell.config, sites, via=job.via, sink=Silent())
        else:
            _run_yardstick(folder, job.cell.way, job.cell.config, sites)
    job.cell.check_images()
    told = {
        "key": job.cell.key,
        "content": job.cell.content,
        "way": job.cell.way,
        "via": job.via,
        "beside": job.beside,
    }
    write_json(folder / DONE, {**told, "seconds": time.perf_counter() - began})


def _run_yardstick(folder: Path, way: str, config: Config, sites: Sequence[Site]) -> None:
    """The figures of a yardstick, and what each site keeps of its images."""
    seen: dict[str, Collector] = defaultdict(Collector)

    def watch(site: Site, verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
        for verdict in verdicts:
            seen[site.name].see(verdict)
            yield verdict

    judged: Callable[..., dict[str, Findings]]
    judged = {
        ISOLATED: yardsticks.isolated,
        CENTRALISED: yardsticks.centralised,
        AT_SITE: yardsticks.at_site,
    }[way]
    began = time.perf_counter()
    embed = Embedder(config.embedder)
    sites = [ready(config, site, embed).site for site in sites]
    findings = judged(config, sites, embed, watch=watch)
    for name, collector in seen.items():
        collector.write(folder / "sites" / name)
    record = {
        "name": config.round.name,
        "seed": config.round.seed,
        "schema": SCHEMA,
        "config": config.flat(),
        "seconds": {way: time.perf_counter() - began},
        "instead": instead(config, sites),
        "figures": {way: figures_of(findings)},
    }
    write_record(folder, {**record, "warnings": tracked(folder, record)})


def affordable(todo: Sequence[RunCell], via: str) -> int:
    """How many cells may run side by side: by cores, and by what memory is free."""
    if not todo or via == "flwr":
        return 1
    threads = max(cell.config.embedder.threads for cell in todo)
    need = BASE_BYTES + 3 * max(_features_bytes(cell.config) for cell in todo)
    return max(1, min((os.cpu_count() or 1) // threads, available() // need))


def _features_bytes(config: Config) -> int:
    """Of all good images: what the centralised yardstick holds at once."""
    from fedad.embedders.backbone import grid_of

    h, w, d = grid_of(config.embedder)
    return 4 * h * w * d * sum(len(site.train) for site in sites_of(config))


@contextmanager
def alone_in(root: Path) -> Iterator[None]:
    """Keep a second comparison out of the same folder.

    Raises:
        ComparisonError: one is at work there.
    """
    with private_file(private_folder(root) / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ComparisonError(f"{root}: another fedad compare is at work there") from None
        yield
