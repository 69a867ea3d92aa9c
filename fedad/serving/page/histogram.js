/* Good parts above the axis, known defects below it, the limit through both, this part marked. */

import { svg } from "./dom.js";
import { number, say } from "./words.js";
import { share, ticks } from "./scale.js";

const CELL = 13; // pixels of one part's square, at most: fewer parts do not look like many

/* How many values lie in each of `bins` equal steps of a range. */
export function binned(values, [low, high], bins) {
  const found = new Array(bins).fill(0);
  for (const value of values) {
    found[Math.min(bins - 1, Math.floor(share(value, [low, high]) * bins))] += 1;
  }
  return found;
}

function rangeOf(values) {
  const some = values.filter((value) => Number.isFinite(value));
  if (!some.length) return null;
  const [low, high] = [Math.min(...some), Math.max(...some)];
  const room = (high - low || Math.abs(high) || 1) * 0.05;
  return [low - room, high + room];
}

/*
 * Draws into `box`. given: good and defects (lists of scores), threshold, wished (another
 * threshold, dashed), score and verdict of the part that is shown.
 */
export function histogram(
  box,
  { good = [], defects = [], threshold, wished, score, verdict, tall = false },
) {
  box.replaceChildren();
  const range = rangeOf([...good, ...defects, threshold, wished, score]);
  if (!range) {
    box.append(say("histogram.none"));
    return;
  }
  const width = Math.max(240, box.clientWidth);
  const up = tall ? 150 : 104;
  const down = defects.length ? (tall ? 84 : 58) : 0;
  const head = 40;
  const foot = 38 + (defects.length ? 0 : 2);
  const height = head + up + down + foot;
  const [left, right] = [8, width - 8];
  const zero = head + up;
  const at = (value) => left + share(value, range) * (right - left);
  const bins = Math.max(12, Math.min(40, Math.floor((right - left) / 15)));
  const words = said({ good, defects, threshold, score });
  const made = svg("svg", {
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": words,
  });

  if (Number.isFinite(threshold)) {
    made.append(
      svg("rect", {
        x: at(threshold),
        y: head,
        width: right - at(threshold),
        height: up + down,
        class: "stopped",
      }),
    );
  }
  const heaps = [binned(good, range, bins), binned(defects, range, bins)];
  const cell = Math.min(
    CELL,
    (up - 6) / Math.max(1, ...heaps[0]),
    down ? (down - 6) / Math.max(1, ...heaps[1]) : CELL,
  );
  made.append(...columns(heaps[0], { left, right, zero, cell, side: -1, kind: "good" }));
  made.append(...columns(heaps[1], { left, right, zero, cell, side: 1, kind: "defect" }));
  made.append(svg("line", { x1: left, x2: right, y1: zero, y2: zero, class: "axis" }));
  for (const value of ticks(...range, Math.max(3, Math.floor(width / 110)))) {
    made.append(
      svg("line", {
        x1: at(value),
        x2: at(value),
        y1: zero + down,
        y2: zero + down + 4,
        class: "axis",
      }),
    );
    made.append(
      svg("text", {
        x: at(value),
        y: zero + down + 17,
        class: "tick",
        "text-anchor": "middle",
        text: number(value, 3),
      }),
    );
  }
  if (down)
    made.append(
      svg("line", { x1: left, x2: right, y1: zero + down, y2: zero + down, class: "thin" }),
    );
  made.append(
    svg("text", {
      x: (left + right) / 2,
      y: height - 4,
      class: "tick",
      "text-anchor": "middle",
      text: say("histogram.axis"),
    }),
  );

  const lines = [];
  if (Number.isFinite(threshold))
    lines.push({
      value: threshold,
      kind: "limit",
      words: say("bar.limit", { value: number(threshold) }),
    });
  if (Number.isFinite(wished) && wished !== threshold)
    lines.push({
      value: wished,
      kind: "wished",
      words: say("histogram.wished", { value: number(wished) }),
    });
  if (Number.isFinite(score))
    lines.push({
      value: score,
      kind: `part ${verdict}`,
      words: say("histogram.part", { value: number(score) }),
    });
  const drawn = lines.map((one, row) =>
    upright(at(one.value), one, { width, bottom: zero + down, row }),
  );
  made.append(...drawn.map(([line]) => line), ...drawn.flatMap(([, ...rest]) => rest)); // words over lines
  box.append(made, legend(good.length, defects.length));
}

/* A column a bin, in squares of one part each while they fit. */
function columns(heap, { left, right, zero, cell, side, kind }) {
  const wide = (right - left) / heap.length;
  const gap = cell > 5 ? 1 : 0;
  return heap.flatMap((n, k) => {
    if (!n) return [];
    const x = left + k * wide + 1;
    const pieces = gap ? n : 1;
    const tall = (cell * n) / pieces;
    return Array.from({ length: pieces }, (_, j) =>
      svg("rect", {
        x,
        width: Math.max(1, wide - 2),
        height: Math.max(1, tall - gap),
        class: kind,
        y: side < 0 ? zero - (j + 1) * tall : zero + j * tall + gap,
      }),
    );
  });
}

/* A line through the whole drawing; its words stand in a row of their own above it. */
function upright(x, { kind, words }, { width, bottom, row }) {
  const half = words.length * 3.5 + 4;
  const middle = Math.min(width - half, Math.max(half, x));
  const y = 12 + row * 15;
  return [
    svg("line", { x1: x, x2: x, y1: y + 4, y2: bottom, class: `upright ${kind}` }),
    svg("text", { x: middle, y, class: `named ${kind}`, "text-anchor": "middle", text: words }),
    ...(kind.startsWith("part")
      ? [
          svg("polygon", {
            points: `${x},${y + 15} ${x - 7},${y + 5} ${x + 7},${y + 5}`,
            class: `mark score ${kind}`,
          }),
        ]
      : []),
  ];
}

function legend(good, defects) {
  const made = document.createElement("p");
  made.className = "legend";
  for (const [kind, key, n] of [
    ["good", "histogram.good", good],
    ["defect", "histogram.defects", defects],
  ]) {
    if (!n && kind === "defect") continue;
    const entry = document.createElement("span");
    const key_ = svg(
      "svg",
      { width: 11, height: 11, "aria-hidden": "true" },
      svg("rect", { width: 11, height: 11, class: kind }),
    );
    entry.append(key_, ` ${say(key, { n })}`);
    made.append(entry);
  }
  return made;
}

function said({ good, defects, threshold, score }) {
  const above = good.filter((value) => value > threshold).length;
  const found = defects.filter((value) => value > threshold).length;
  let words = say("histogram.said", {
    n: good.length,
    above,
    defects: defects.length,
    found,
    threshold: number(threshold),
  });
  if (Number.isFinite(score)) words += ` ${say("histogram.part", { value: number(score) })}`;
  return words;
}
