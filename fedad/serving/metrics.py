"""Counts for Prometheus, in its text format: https://prometheus.io/docs/instrumenting/exposition_formats/"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Lock

KIND = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)  # upper ends of the histogram's bins
INSPECTIONS, ERRORS = "fedad_inspections_total", "fedad_errors_total"
OPERATORS, WEBHOOK = "fedad_operator_verdicts_total", "fedad_webhook_failures_total"
COUNTERS = {
    INSPECTIONS: "Pictures that were judged.",
    ERRORS: "Requests that were refused, and what failed beside them.",
    OPERATORS: "What operators said of verdicts.",
    WEBHOOK: "Verdicts that a webhook or a broker did not take at a try.",
}
PLAIN = (WEBHOOK,)  # counters without labels: they are there from the start, at 0
Labels = tuple[tuple[str, str], ...]
Gauge = tuple[str, str, Mapping[str, str], float]  # name, what it is, labels, value


class Metrics:
    """What was counted since the start; may be called from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[str, Counter[Labels]] = {name: Counter() for name in COUNTERS}
        for name in PLAIN:
            self._counts[name][()] = 0
        self._bins: Counter[float] = Counter()
        self._sum, self._seen = 0.0, 0

    def count(self, name: str, **labels: str) -> None:
        """One more of a counter's, under these labels."""
        with self._lock:
            self._counts[name][tuple(labels.items())] += 1

    def judged(self, product: str, verdict: str, seconds: float) -> None:
        """A picture was judged, in so many seconds."""
        self.count(INSPECTIONS, product=product, verdict=verdict)
        with self._lock:
            self._sum, self._seen = self._sum + seconds, self._seen + 1
            for end in SECONDS:
                self._bins[end] += seconds <= end

    def text(self, gauges: Iterable[Gauge]) -> str:
        """All of it, with what is so now."""
        with self._lock:
            lines = [line for name, told in COUNTERS.items() for line in self._counter(name, told)]
            lines += self._histogram("fedad_inspection_seconds")
        for name, told, labels, value in gauges:
            lines += [*_heading(name, told, "gauge"), f"{name}{_labels(labels)} {value:g}"]
        memory = "process_resident_memory_bytes"
        lines += [*_heading(memory, "Memory of this process.", "gauge"), f"{memory} {resident()}"]
        return "\n".join(lines) + "\n"

    def _counter(self, name: str, told: str) -> list[str]:
        rows = sorted(self._counts[name].items())
        return [
            *_heading(name, told, "counter"),
            *(f"{name}{_labels(dict(labels))} {count}" for labels, count in rows),
        ]

    def _histogram(self, name: str) -> list[str]:
        bins = [f'{name}_bucket{{le="{end:g}"}} {self._bins[end]}' for end in SECONDS]
        return [
            *_heading(name, "Seconds from a picture's bytes to its verdict.", "histogram"),
            *bins,
            f'{name}_bucket{{le="+Inf"}} {self._seen}',
            f"{name}_sum {self._sum:.6f}",
            f"{name}_count {self._seen}",
        ]


def resident() -> int:
    """Bytes of this process in memory; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _heading(name: str, told: str, kind: str) -> list[str]:
    return [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
