/* Axes and the colour bar: drawn by hand in SVG, at the width they are given. */

import { svg } from "./dom.js";
import { number, say } from "./words.js";

/* Round numbers between two values, about `wished` of them. */
export function ticks(low, high, wished = 5) {
  const raw = (high - low) / wished || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * (1 - 1e-9)) || raw;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) {
    found.push(Number((k * step).toPrecision(12)));
  }
  return found;
}

export const share = (value, [low, high]) =>
  Math.min(1, Math.max(0, (value - low) / (high - low || 1)));

/* Dark blue over white to dark red: the overlay's own colours; see fedad/reporting/heatmap.py. */
export const STOPS = ["#053061", "#4393c3", "#d1e5f0", "#fddbc7", "#d6604d", "#67001f"];

/* The model's fixed scale from low to high, with the limit above it and the score below. */
export function bar(box, { scale, threshold, score, verdict }) {
  box.replaceChildren();
  if (!scale) return;
  const width = Math.max(220, box.clientWidth);
  const height = 68;
  const ends = scale.map((value) => number(value, 3));
  const room = 8 + 7 * Math.max(...ends.map((words) => words.length));
  const [left, right, top, thick] = [room, width - room, 27, 14];
  const at = (value) => left + share(value, scale) * (right - left);
  const made = svg("svg", {
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": say("bar.label", {
      low: number(scale[0], 3),
      high: number(scale[1], 3),
      threshold: number(threshold),
      score: number(score),
    }),
  });
  const ramp = svg(
    "linearGradient",
    { id: "ramp" },
    STOPS.map((colour, k) => svg("stop", { offset: k / (STOPS.length - 1), "stop-color": colour })),
  );
  made.append(svg("defs", {}, ramp));
  made.append(
    svg("rect", {
      x: left,
      y: top,
      width: right - left,
      height: thick,
      rx: 3,
      fill: "url(#ramp)",
      class: "ramp",
    }),
  );
  if (typeof threshold === "number") {
    made.append(
      ...mark(
        at(threshold),
        top,
        -1,
        say("bar.limit", { value: number(threshold) }),
        "limit",
        width,
      ),
    );
  }
  if (typeof score === "number") {
    const beyond = score > scale[1] ? "bar.beyond" : "bar.score";
    made.append(
      ...mark(
        at(score),
        top + thick,
        1,
        say(beyond, { value: number(score) }),
        `score ${verdict}`,
        width,
      ),
    );
  }
  made.append(
    svg("text", { x: left - 6, y: top + 11, class: "tick", "text-anchor": "end", text: ends[0] }),
    svg("text", { x: right + 6, y: top + 11, class: "tick", text: ends[1] }),
  );
  box.append(made);
}

/* A triangle that points at the bar from above (-1) or below (1), and its words. */
function mark(x, edge, side, words, kind, width) {
  const tip = edge + side;
  const far = edge + side * 9;
  const points = `${x},${tip} ${x - 6},${far} ${x + 6},${far}`;
  const half = words.length * 3.6 + 4;
  const middle = Math.min(width - half, Math.max(half, x));
  return [
    svg("polygon", { points, class: `mark ${kind}` }),
    svg("text", {
      x: middle,
      y: side < 0 ? edge - 13 : edge + 22,
      "text-anchor": "middle",
      class: "marked",
      text: words,
    }),
  ];
}
