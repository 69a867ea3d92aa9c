/* The keyboard: one letter a deed, listed on "?"; none while somebody types. */

import { $, make } from "./dom.js";
import { say } from "./words.js";
import { changeOpacity, toggleHeat, zoomBy, zoomTo, zoomToOdd } from "./picture.js";
import { judge, step } from "./verdict.js";
import { follow } from "./strip.js";
import { keysAreOn } from "./settings.js";

const VIEWS = ["inspect", "threshold", "teach", "models", "settings", "drift"];
const inspecting = () => !$("#view-inspect").hidden;
const part = () => inspecting() && !$("#record").hidden;

/* [keys, words, deed, where it counts] */
const KEYS = [
  [["o"], "key.pick", () => $("#pick").click(), inspecting],
  [["d"], "key.folder", () => $("#pick-folder").click(), inspecting],
  [["j"], "key.older", () => step(1), inspecting],
  [["k"], "key.newer", () => step(-1), inspecting],
  [["l"], "key.follow", follow, inspecting],
  [["r"], "operator.right", () => judge("right"), part],
  [["f"], "operator.false_alarm", () => judge("false_alarm"), part],
  [["m"], "operator.missed", () => judge("missed"), part],
  [["h"], "key.heat", toggleHeat, part],
  [["["], "key.less", () => changeOpacity(-10), part],
  [["]"], "key.more", () => changeOpacity(10), part],
  [["+", "="], "picture.in", () => zoomBy(1), part],
  [["-"], "picture.out", () => zoomBy(-1), part],
  [["0"], "picture.fit", () => zoomTo(1), part],
  [["z"], "picture.odd", zoomToOdd, part],
  [["p"], "print.button", () => print(), part],
  [["?"], "help.open", openHelp, () => true],
];

export function openHelp() {
  const row = (keys, words) =>
    make(
      "div",
      {},
      make(
        "dt",
        {},
        keys.map((key) => make("kbd", { text: key.length === 1 ? key.toUpperCase() : key })),
      ),
      make("dd", { text: words }),
    );
  $("#help-list").replaceChildren(
    ...KEYS.map(([keys, words]) => row(keys.slice(0, 1), say(words))),
    row(["1\u20136"], say("key.views")),
    row(["Ctrl V"], say("key.paste")),
  );
  if (!$("#help").open) $("#help").showModal();
}

function typed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (!keysAreOn() || $("dialog[open]")) return;
  if (event.target.closest?.("input:not([type=range]):not([type=checkbox]), select, textarea"))
    return;
  if (/^[1-6]$/.test(event.key)) {
    location.hash = VIEWS[Number(event.key) - 1];
    return;
  }
  const found = KEYS.find(
    ([keys, , , counts]) => keys.includes(event.key.toLowerCase()) && counts(),
  );
  if (!found) return;
  event.preventDefault();
  found[2]();
}

export function startKeys() {
  addEventListener("keydown", typed);
  $("#open-help").addEventListener("click", openHelp);
}
