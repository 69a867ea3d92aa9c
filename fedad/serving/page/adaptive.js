/* The threshold by what operators said, when the engineer says so. */

import { $, make, notice } from "./dom.js";
import { NONE, number, say } from "./words.js";
import { get, post } from "./server.js";
import { ask } from "./dialogs.js";
import { settle } from "./outcome.js";

let product = ""; // that it is about
let adaptive = null; // what verdicts would make of its threshold

/* Ask what verdicts on a product would make of its threshold, and show it. */
export async function showAdaptive(of) {
  product = of;
  adaptive = null;
  drawAdaptive();
  if (!of) return;
  let told;
  try {
    told = await get(`v1/calibrate?${new URLSearchParams({ product: of })}`);
  } catch (error) {
    told = { error: error.message };
  }
  if (of !== product) return;
  adaptive = told;
  drawAdaptive();
}

export function drawAdaptive() {
  const box = $("#adaptive");
  const one = adaptive;
  const moves =
    typeof one?.threshold === "number" && one.judged > 0 && one.threshold !== one.before;
  $("#adapt").disabled = !moves;
  if (!one) return box.replaceChildren();
  if (one.error) return box.replaceChildren(make("p", { class: "soft", text: one.error }));
  if (!one.judged)
    return box.replaceChildren(make("p", { class: "soft", text: say("adaptive.none") }));
  const lines = [say("adaptive.judged", { n: one.judged, stopped: String(one.stopped ?? NONE) })];
  if (moves)
    lines.push(say("adaptive.moves", { from: number(one.before), to: number(one.threshold) }));
  else if (!one.told || typeof one.threshold === "number")
    lines.push(say("adaptive.stays", { to: number(one.before) }));
  if (moves && one.defects)
    lines.push(say("adaptive.defects", { k: String(one.defects_found), n: one.defects }));
  const why = typeof one.threshold === "number" ? "" : one.told || "";
  box.replaceChildren(
    ...lines.map((line) => make("p", { text: line })),
    make("p", { class: "soft", lang: "en", text: why }),
  );
}

async function adapt() {
  const yes = await ask(
    say("adaptive.ask", { product }),
    [
      say("adaptive.ask_words", {
        n: adaptive.judged,
        from: number(adaptive.before),
        to: number(adaptive.threshold),
      }),
      say("threshold.ask_gate"),
    ],
    say("adaptive.apply"),
  );
  if (yes) await settle($("#adapt"), $("#adapted"), () => post("v1/calibrate", { product }));
}

/* Another product is looked at: what became of the last one goes. */
export const clearAdapted = () => notice($("#adapted"), "");

export function startAdaptive() {
  $("#adapt").addEventListener("click", adapt);
}
