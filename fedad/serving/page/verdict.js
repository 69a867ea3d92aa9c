/* The verdict, what it rests on, why, and what the operator says of it. */

import { $, all, announce, kept, make, notice } from "./dom.js";
import { NONE, number, percent, say, short, when } from "./words.js";
import { hear, known, show, state } from "./state.js";
import { post, showPicture } from "./server.js";
import { histogram } from "./histogram.js";
import { ask } from "./dialogs.js";
import { allReasons } from "./reasons.js";

export const KINDS = { OK: "ok", NOK: "nok", "TAKE AGAIN": "again", UNREADABLE: "unreadable" };
const WORDS = {
  OK: "verdict.ok",
  NOK: "verdict.nok",
  "TAKE AGAIN": "verdict.again",
  UNREADABLE: "verdict.unreadable",
};
const SENTENCES = {
  OK: "verdict.ok_words",
  NOK: "verdict.nok_words",
  "TAKE AGAIN": "verdict.again_words",
  UNREADABLE: "verdict.unreadable_words",
};
const REASONS = {
  "too dark": "reason.dark",
  blurred: "reason.blurred",
  "not this product": "reason.stranger",
  "not a product that this model knows": "reason.unknown",
};
const OPERATORS = {
  right: "operator.right",
  false_alarm: "operator.false_alarm",
  missed: "operator.missed",
};
const SENSE = {
  OK: ["right", "missed"],
  NOK: ["right", "false_alarm"],
  "TAKE AGAIN": ["right", "false_alarm", "missed"],
};

export const kindOf = (one) => KINDS[one.verdict] || "unreadable";
export const wordOf = (one) => say(WORDS[one.verdict] || "verdict.unreadable");

/* Why a picture is to be taken again, in the reader's language; words of the server's else. */
export const reasonOf = (one) =>
  REASONS[one.reason] ? say(REASONS[one.reason]) : one.reason || "";

/* How many good parts scored as high: (1 + those) / (1 + all) is the p-value. */
export function usualOf(one) {
  if (typeof one.p_value !== "number" || !one.good_parts) return "";
  const as_high = Math.max(0, Math.round(one.p_value * (one.good_parts + 1)) - 1);
  if (!as_high) return say("usual.none", { n: one.good_parts });
  return say("usual.some", { n: as_high, all: one.good_parts });
}

function limitOf(one) {
  if (one.verdict === "TAKE AGAIN" || one.verdict === "UNREADABLE") return reasonOf(one);
  const given = { score: number(one.score), threshold: number(one.threshold) };
  return say(one.verdict === "NOK" ? "reason.above" : "reason.below", given);
}

const saidBy = (one) =>
  typeof one.operator === "string" ? one.operator : one.operator?.operator || "";

function draw() {
  const one = state.shown;
  $("#empty").hidden = Boolean(one);
  $("#record").hidden = !one;
  if (!one) return drawEmpty();
  const kind = kindOf(one);
  $("#record").dataset.kind = kind;
  $("#verdict-shape").setAttribute("href", `#shape-${kind}`);
  $("#verdict-word").textContent = wordOf(one);
  $("#verdict-sentence").textContent = say(SENTENCES[one.verdict] || SENTENCES.UNREADABLE);
  $("#shown-product").textContent = one.product || one.image;
  $("#shown-how").hidden = !one.recognised;
  $("#shown-reason").textContent = limitOf(one);
  $("#shown-usual").textContent = kind === "ok" || kind === "nok" ? usualOf(one) : "";
  $("#shown-name").textContent = one.product ? one.image : "";
  $("#shown-time").textContent = when(one.time);
  document.title = `${wordOf(one)} \u00b7 ${one.product || one.image || ""} \u00b7 fedad`;
  drawOperator(one);
  drawWhy(one);
  drawFacts(one);
  drawUsual();
  drawStale(one);
  $(".card.picture").hidden = !one.pictures;
  $("#panels").hidden = kind === "unreadable";
}

/* What hangs on the model that judges now, and not on the part alone. */
function drawOfModel() {
  if (!state.shown) return drawEmpty();
  drawStale(state.shown);
  drawFacts(state.shown);
  drawUsual();
}

function drawEmpty() {
  document.title = "fedad";
  const none = !state.model && state.why !== "";
  $("#empty-title").textContent = say(none ? "empty.no_model" : "empty.title");
  $("#empty-words").textContent = say(none ? "empty.no_model_words" : "empty.words");
  $("#empty-teach").hidden = !none;
}

function drawStale(one) {
  const why = known(one.product)?.stale;
  const other = state.model && one.model && one.model !== state.model.model;
  notice(
    $("#stale"),
    why
      ? say("verdict.stale", { product: one.product, why })
      : other
        ? say("verdict.other_model", { model: short(one.model) })
        : "",
  );
}

function drawOperator(one) {
  const given = saidBy(one);
  const open = SENSE[one.verdict] || [];
  $("#operator").hidden = !one.id;
  for (const button of all("[data-operator]")) {
    const name = button.dataset.operator;
    button.disabled = !open.includes(name);
    button.setAttribute("aria-pressed", String(given === name));
  }
  $("#operator-said").classList.toggle("unseen", true); // the pressed button shows it
  $("#operator-said").textContent = given
    ? say("operator.noted", { verdict: say(OPERATORS[given] || "operator.right") })
    : "";
  $("#add-normal").hidden = !one.pictures?.picture;
}

async function drawWhy(one) {
  const near = typeof one.nearest_distance === "number";
  $("#why").hidden = !near;
  if (!near) return;
  const site = one.nearest_site;
  const given = { distance: number(one.nearest_distance, 3), site: site || "" };
  $("#why-words").textContent = say(site ? "why.whose" : "why.near", given);
  $("#why-image").textContent = one.alike_image ? say("why.image", { image: one.alike_image }) : "";
  const urls = [one.pictures?.odd, one.pictures?.alike];
  $("#pair").hidden = !urls[0] && !urls[1];
  const there = await Promise.all([
    showPicture($("#odd"), urls[0]),
    showPicture($("#alike"), urls[1]),
  ]);
  if (state.shown !== one) return;
  for (const [k, id] of ["#odd", "#alike"].entries()) $(id).parentElement.hidden = !there[k];
  $("#pair").hidden = !there[0] && !there[1];
  $("#odd").alt = say("why.odd");
  $("#alike").alt = say("why.alike");
}

function drawUsual() {
  const one = state.shown;
  if (!one) return;
  const product = known(one.product);
  $("#usual").hidden = !product || one.verdict === "UNREADABLE";
  if ($("#usual").hidden) return;
  histogram($("#histogram"), {
    good: product.good,
    defects: product.defects,
    threshold: one.threshold ?? product.threshold,
    score: one.score,
    verdict: kindOf(one),
  });
}

const placeOf = ([left, top, width, height]) =>
  say("facts.place_words", { left, top, width, height });

function drawFacts(one) {
  const rows = [
    ["facts.picture", one.image],
    ["facts.time", when(one.time, true)],
    ["facts.product", one.product],
    ["facts.verdict", [wordOf(one), reasonOf(one)].filter(Boolean).join(": ")],
    ["facts.score", number(one.score, 6)],
    ["facts.limit", number(one.threshold, 6)],
    [
      "facts.p",
      typeof one.p_value === "number" ? `${number(one.p_value, 3)} (${usualOf(one)})` : "",
    ],
    ["facts.wished", percent(known(one.product)?.wished ?? null)],
    ["facts.operator", saidBy(one) ? say(OPERATORS[saidBy(one)] || "operator.right") : ""],
    ["facts.place", one.place ? placeOf(one.place) : ""],
    [
      "facts.size",
      one.width ? say("facts.size_words", { width: one.width, height: one.height }) : "",
    ],
    [
      "facts.seconds",
      typeof one.seconds === "number"
        ? say("facts.took", { ms: Math.round(1000 * one.seconds) })
        : "",
    ],
    ["facts.sha", one.sha256],
    ["facts.model", one.model],
    ["facts.site", state.model?.site],
    ["facts.id", one.id],
  ];
  $("#facts-list").replaceChildren(
    ...rows
      .filter(([, value]) => value && value !== NONE)
      .map(([key, value]) =>
        make("div", {}, make("dt", { text: say(key) }), make("dd", { text: value })),
      ),
  );
  $("#paper-where").textContent = [
    state.model?.site,
    short(one.model),
    when(new Date().toISOString(), true),
  ]
    .filter(Boolean)
    .join(" \u00b7 ");
}

/* For who does not see the page: all that matters in one sentence. */
export function announceVerdict(one) {
  announce(
    [wordOf(one), one.product, one.image, limitOf(one), $("#shown-usual").textContent]
      .filter(Boolean)
      .join(". "),
  );
}

export async function judge(operator) {
  const one = state.shown;
  if (!one?.id || !(SENSE[one.verdict] || []).includes(operator)) return;
  try {
    await post("v1/verdicts", { id: one.id, verdict: operator, by: kept.get("by") });
  } catch (error) {
    return tellOperator(error.message);
  }
  for (const known_ of [one, ...state.list.filter((other) => other.id === one.id)])
    known_.operator = operator;
  if (state.shown === one) {
    drawOperator(one);
    drawFacts(one);
  }
}

function tellOperator(words) {
  $("#operator-said").classList.remove("unseen");
  $("#operator-said").textContent = words;
}

async function addNormal() {
  const one = state.shown;
  if (!one?.id) return;
  const yes = await ask(
    say("normals.ask"),
    [say("normals.ask_words", { name: one.image, product: one.product })],
    say("normals.add"),
  );
  if (!yes) return;
  tellOperator(say("normals.adding"));
  try {
    const told = await post("v1/normals", { id: one.id });
    tellOperator(
      told.accepted
        ? say("normals.done")
        : say("normals.waits", { why: allReasons(told) }),
    );
    document.dispatchEvent(new Event("models-changed"));
  } catch (error) {
    tellOperator(error.message);
  }
}

export function startVerdict() {
  for (const button of all("[data-operator]"))
    button.addEventListener("click", () => judge(button.dataset.operator));
  $("#add-normal").addEventListener("click", addNormal);
  $("#print").addEventListener("click", () => print());
  addEventListener("beforeprint", () => {
    $("#facts").open = true;
  });
  new ResizeObserver(drawUsual).observe($("#result"));
  hear("shown words", draw);
  hear("model", drawOfModel);
}

/* The one before or after in the strip. */
export function step(by) {
  const at = state.list.findIndex((one) => one.id === state.shown?.id);
  const next = state.list[Math.min(state.list.length - 1, Math.max(0, at + by))];
  if (next && next !== state.shown) {
    show(next, { follow: false });
    announceVerdict(next);
  }
}
