"""Calibrated outputs of several members -> one score, and what is learned for that of drawn ones.

- Logistic regression on the calibrated scores of images: in each round a site takes steps from the
  broadcast coefficients on its held-out good images and the defects drawn into them, and the server
  averages (FedAvg). Coefficients are never below 0, since no member's alarm speaks for a good part,
  nor above `MOST`, so that what one site sends is worth at most so much: the door sees to both.
- A random forest: each site's own trees, as arrays in the order of a heap; the model has them all.

Maps are combined by the same coefficients, made shares; under a forest by their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from fedad.averaging.counted import Counted, of_all
from fedad.averaging.reach import ROUNDED
from fedad.errors import UploadError
from fedad.messages.schema import COUNTS, DOUBLES, FLOATS, Array, Dtype

STEPS = 200  # of a round of logistic regression, of plain gradient descent
DECAY = 0.01  # of squared coefficients
MOST = 12.0  # of a coefficient: no optimum has one above (2 ln 2 / DECAY)^(1/2) = 11.8
CLIP = 20.0  # standard units, beyond which a score says no more to who learns of it
TIE = 1e-3  # what the mean of calibrated scores adds to a forest's share: its leaves are few
DEEPEST = 3  # levels of a tree: 7 questions and 8 answers
NODES = 2 ** (DEEPEST + 1) - 1
LEAF = -1  # in place of the number of an output: the node asks nothing


@dataclass(frozen=True, eq=False, kw_only=True)
class Coefficients(Counted):
    """Of each of C products the coefficients of M members, and a constant at the end."""

    values: Annotated[np.ndarray, Array("C K", FLOATS)]
    dtype: Dtype = "float32"


@dataclass(frozen=True, eq=False, kw_only=True)
class Trees(Counted):
    """Of each of C products T trees of N nodes: node i has the nodes 2 i + 1 and 2 i + 2.

    A node sends a score that is at most `limit` of the output `asks` to the left. A node with
    `LEAF` has the share of defects in it as `share`. A tree with no images behind it counts
    nothing.
    """

    asks: Annotated[np.ndarray, Array("C T N", ("int32",), least=LEAF, most=2**10)]
    limit: Annotated[np.ndarray, Array("C T N", DOUBLES, least=-1e12, most=1e12)]
    share: Annotated[np.ndarray, Array("C T N", DOUBLES, least=0, most=1)]
    behind: Annotated[np.ndarray, Array("C T", ("int64",), least=0, most=COUNTS)]

    def check(self) -> None:
        """Refuse trees of another size: a question is followed `DEEPEST` times, never beyond."""
        if self.asks.shape[2] != NODES:
            told = f"trees of {self.asks.shape[2]} nodes, expected {NODES}"
            raise UploadError(told, "shape")


def stepped(
    values: np.ndarray, good: np.ndarray, bad: np.ndarray, steps: int = STEPS
) -> np.ndarray:
    """The coefficients (K,) after some steps on scores (n, M) of good and of drawn images, both
    sides of equal weight."""
    found = values.astype(np.float64)
    scores = np.clip(np.concatenate([good, bad]), -CLIP, CLIP)
    inputs = np.concatenate([scores, np.ones((len(scores), 1))], 1)
    labels = np.repeat([0.0, 1.0], [len(good), len(bad)])
    weights = np.repeat([0.5 / len(good), 0.5 / len(bad)], [len(good), len(bad)])
    bound = inputs.shape[1] / 4 * (weights @ np.square(inputs)) + DECAY  # of the curvature
    for _ in range(steps):
        chance = 1 / (1 + np.exp(-inputs @ found))
        slope = inputs.T @ (weights * (chance - labels))
        slope[:-1] += DECAY * found[:-1]
        found = found - slope / bound
        found = np.clip(found, *box(len(found)))
    return found


def box(width: int) -> tuple[np.ndarray, np.ndarray]:
    """(K,) each: the least and the largest coefficients, the constant last."""
    least, most = np.zeros(width), np.full(width, MOST)
    least[-1], most[-1] = -CLIP * MOST, CLIP * MOST
    return least, most


def grown(
    good: np.ndarray, bad: np.ndarray, trees: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(T, N) each: what a random forest asks, its limits and its shares, of scores (n, M)."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        trees,
        max_depth=DEEPEST,
        class_weight="balanced",
        random_state=int(rng.integers(2**31)),
        n_jobs=1,
    )
    forest.fit(np.concatenate([good, bad]), np.repeat([0, 1], [len(good), len(bad)]))
    asks = np.full((trees, NODES), LEAF, np.int32)
    limit, share = np.zeros((trees, NODES)), np.zeros((trees, NODES))
    for t, one in enumerate(forest.estimators_):
        tree = one.tree_
        todo = [(0, 0)]
        while todo:
            node, at = todo.pop()
            counts = tree.value[node, 0]
            share[t, at] = counts[1] / counts.sum()
            if tree.children_left[node] >= 0:
                asks[t, at], limit[t, at] = tree.feature[node], tree.threshold[node]
                todo += [
                    (int(tree.children_left[node]), 2 * at + 1),
                    (int(tree.children_right[node]), 2 * at + 2),
                ]
    return asks, limit, share


def answered(trees: Trees, product: int, scores: np.ndarray) -> np.ndarray:
    """(n,): the share of defects that a product's trees say of scores (n, M), the mean of trees
    weighed by the images behind them; and a little of the scores' mean, which tells ties apart.

    Raises:
        UploadError: a tree asks for an output that there is not.
    """
    if trees.asks.max(initial=LEAF) >= scores.shape[1]:
        raise UploadError(f"trees that ask for more than {scores.shape[1]} outputs", "shape")
    found, behind = np.zeros(len(scores)), trees.behind[product].astype(np.float64)
    rows = np.arange(len(scores))
    single = scores.astype(np.float32).astype(np.float64)  # as trees were grown on
    for t in np.flatnonzero(behind):
        at = np.zeros(len(scores), np.int64)
        for _ in range(DEEPEST):
            asks = trees.asks[product, t, at]
            right = single[rows, np.maximum(asks, 0)] > trees.limit[product, t, at]
            at = np.where(asks == LEAF, at, 2 * at + 1 + right)
        found += behind[t] * trees.share[product, t, at]
    return found / max(1.0, behind.sum()) + TIE * scores.mean(1)


def all_trees(uploads: Sequence[Trees]) -> Trees:
    """The trees of all sites, one behind the other; of a product that a site has none of, none."""
    about = of_all(uploads)
    shape = (len(about["categories"]), sum(one.asks.shape[1] for one in uploads))
    asks = np.full((*shape, NODES), LEAF, np.int32)
    limit, share = np.zeros((*shape, NODES)), np.zeros((*shape, NODES))
    behind, first = np.zeros(shape, np.int64), 0
    for one in uploads:
        rows = np.array([about["categories"].index(name) for name in one.categories], np.int64)
        last = first + one.asks.shape[1]
        for whole, part in (
            (asks, one.asks), (limit, one.limit), (share, one.share), (behind, one.behind)
        ):  # fmt: skip
            whole[rows, first:last] = part
        first = last
    return uploads[0].replace(asks=asks, limit=limit, share=share, behind=behind, **about)


def shares_of(values: np.ndarray) -> np.ndarray:
    """(M,): coefficients (K,) without their constant, as shares that add to 1."""
    members = np.maximum(values[:-1].astype(np.float64), 0)
    total = members.sum()
    return members / total if total > 0 else np.full(len(members), 1 / len(members))


def check_coefficients(upload: Coefficients, width: int) -> None:
    """Refuse others than so many, or such as no steps end at.

    Raises:
        UploadError: of the words `shape` and `norm`.
    """
    if (found := upload.values.shape[1]) != width:
        raise UploadError(f"{found} coefficients, expected {width}", "shape")
    least, most = box(width)
    off = (upload.values < least - ROUNDED * most) | (upload.values > most + ROUNDED * most)
    if off.any():
        raise UploadError(
            f"a coefficient is {upload.values[off][0]:.3g}, expected 0 to {MOST:g}, and of the "
            f"constant {least[-1]:g} to {most[-1]:g}, where steps end",
            "norm",
        )


def check_trees(upload: Trees, trees: int, outputs: int) -> None:
    """Refuse others than so many, that ask for more outputs, or of other images than its own.

    Raises:
        UploadError: of the words `shape` and `counts`.
    """
    found, wanted = upload.asks.shape[1:], (trees, NODES)
    if found != wanted or upload.asks.max(initial=LEAF) >= outputs:
        raise UploadError(f"trees of {found}, expected {wanted}, of {outputs} outputs", "shape")
    if (upload.behind != upload.images[:, None]).any():
        raise UploadError("trees of other images than its own", "counts")
