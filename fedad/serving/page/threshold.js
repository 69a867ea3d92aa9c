/* The threshold by the share of good parts that may be stopped. */

import { $, all, make, notice } from "./dom.js";
import { NONE, best, needed, number, percent, say } from "./words.js";
import { hear, known, products, state } from "./state.js";
import { get, post } from "./server.js";
import { histogram } from "./histogram.js";
import { ask } from "./dialogs.js";
import { clearAdapted, drawAdaptive, showAdaptive, startAdaptive } from "./adaptive.js";
import { settle } from "./outcome.js";

let product = ""; // that the page is about
let rate = null; // that is looked at
let preview = null; // what it would be
let asked = 0; // the newest question: older answers do not count

const view = $("#view-threshold");
const stops = (given) => say("threshold.stopped", given);

function drawHistogram() {
  const one = known(product);
  if (view.hidden || !one) return;
  const wished = typeof preview?.threshold === "number" ? preview.threshold : undefined;
  histogram($("#threshold-histogram"), {
    good: one.good,
    defects: one.defects,
    threshold: one.threshold,
    wished,
    tall: true,
  });
}

/* One of the rates: what it takes, and what it would be. */
function choice({ rate: offered, threshold }) {
  const one = known(product);
  const chosen = offered === rate;
  const made = make(
    "button",
    {
      type: "button",
      class: "choice",
      role: "radio",
      "aria-checked": String(chosen),
      tabindex: chosen ? 0 : -1,
      on: { click: () => look(offered) },
    },
    make("b", { text: percent(offered) }),
    make("span", {
      text:
        threshold === null
          ? say("threshold.takes", { n: needed(offered) })
          : say("bar.limit", { value: number(threshold) }),
    }),
    offered === one.wished ? make("em", { text: say("threshold.now") }) : null,
  );
  made.dataset.rate = offered;
  made.classList.toggle("lacking", threshold === null);
  return made;
}

function drawChoices() {
  const one = known(product);
  const focused = $("#choices").contains(document.activeElement);
  $("#choices").replaceChildren(...(one?.rates || []).map(choice));
  if (!all("[tabindex='0']", $("#choices")).length) $(".choice")?.setAttribute("tabindex", "0");
  if (focused) $(".choice[tabindex='0']")?.focus();
  $("#promise").textContent = one
    ? say("threshold.promise", {
        n: one.parts ?? one.images,
        best: percent(best(one.parts ?? one.images)),
      })
    : "";
}

/* Arrow keys move within the choices, as in any group of radio buttons. */
function arrows(event) {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  const some = all(".choice");
  const next = some[(some.indexOf(document.activeElement) + by + some.length) % some.length];
  next.focus();
  look(Number(next.dataset.rate));
}

async function look(wished) {
  rate = wished;
  preview = null;
  asked += 1;
  const mine = asked;
  notice($("#applied"), "");
  drawChoices();
  drawPreview();
  try {
    const told = await get(`v1/thresholds?${new URLSearchParams({ product, rate: wished })}`);
    if (mine === asked) preview = told;
  } catch (error) {
    if (mine === asked) preview = { error: error.message };
  }
  if (mine === asked) {
    drawPreview();
    drawHistogram();
  }
}

function drawPreview() {
  const box = $("#preview");
  const one = known(product);
  const possible = typeof preview?.threshold === "number";
  $("#apply").disabled =
    !possible || (rate === one?.wished && preview.threshold === one?.threshold && !one?.stale);
  if (!one || rate === null) return box.replaceChildren();
  if (!preview)
    return box.replaceChildren(make("p", { class: "soft", text: say("threshold.asking") }));
  if (!possible) {
    return box.replaceChildren(
      make("p", {
        class: "wrong",
        text:
          preview.error ||
          say("threshold.impossible", {
            rate: percent(rate),
            n: needed(rate),
            have: one.parts ?? one.images,
          }),
      }),
    );
  }
  const above = (values, limit) => values.filter((value) => value > limit).length;
  const row = (key, now, then) =>
    make(
      "tr",
      {},
      make("th", { scope: "row", text: say(key) }),
      make("td", { text: now }),
      make("td", { text: then }),
    );
  const rows = [
    row("threshold.row_rate", percent(one.wished), percent(preview.rate ?? rate)),
    row("threshold.row_limit", number(one.threshold), number(preview.threshold)),
    row(
      "threshold.row_good",
      stops({ k: String(above(one.good, one.threshold)), n: one.good.length }),
      stops({ k: String(preview.good_stopped), n: preview.good }),
    ),
  ];
  rows.push(
    preview.defects
      ? row(
          "threshold.row_defects",
          stops({ k: String(above(one.defects, one.threshold)), n: one.defects.length }),
          stops({ k: String(preview.defects_found), n: preview.defects }),
        )
      : row("threshold.row_defects", NONE, say("threshold.no_defects")),
  );
  box.replaceChildren(
    make(
      "table",
      {},
      make(
        "thead",
        {},
        make(
          "tr",
          {},
          make("td"),
          make("th", { scope: "col", text: say("threshold.before") }),
          make("th", { scope: "col", text: say("threshold.after") }),
        ),
      ),
      make("tbody", {}, rows),
    ),
  );
}

async function apply() {
  const yes = await ask(
    say("threshold.ask", { product }),
    [
      say("threshold.ask_words", {
        rate: percent(rate),
        from: number(known(product).threshold),
        to: number(preview.threshold),
      }),
      say("threshold.ask_gate"),
    ],
    say("threshold.apply"),
  );
  if (!yes) return;
  const wished = { product, rate };
  if (await settle($("#apply"), $("#applied"), () => post("v1/thresholds", wished))) {
    preview = rate = null;
    draw();
  }
}

function draw() {
  const names = products();
  if (!names.includes(product))
    product = names.includes(state.shown?.product) ? state.shown.product : names[0] || "";
  $("#threshold-product").replaceChildren(
    ...names.map((name) => make("option", { value: name, text: name })),
  );
  $("#threshold-product").value = product;
  const one = known(product);
  $("#threshold-body").hidden = !one;
  notice(
    $("#threshold-none"),
    one
      ? one.stale
        ? say("verdict.stale", { product, why: one.stale })
        : ""
      : say("empty.no_model_words"),
  );
  if (!one) return;
  drawChoices();
  drawPreview();
  drawHistogram();
  drawAdaptive();
}

/* The view opens, or it is about another product. */
function enter(wished) {
  product = wished;
  rate = preview = null;
  notice($("#applied"), "");
  clearAdapted();
  draw();
  showAdaptive(product);
}

function free(event) {
  event.preventDefault();
  const value = Number($("#free-rate").value.trim().replace(",", ".").replace("%", "")) / 100;
  const fits = value > 0 && value < 1;
  $("#free-wrong").textContent = fits ? "" : say("threshold.free_wrong");
  $("#free-rate").setAttribute("aria-invalid", String(!fits));
  if (fits) look(Number(value.toPrecision(6)));
}

export function startThreshold() {
  $("#threshold-product").addEventListener("change", (event) => enter(event.target.value));
  $("#choices").addEventListener("keydown", arrows);
  $("#free").addEventListener("submit", free);
  $("#apply").addEventListener("click", apply);
  startAdaptive();
  new ResizeObserver(drawHistogram).observe(view);
  hear("words", draw);
  hear("model", () => {
    draw();
    if (!view.hidden) showAdaptive(product);
  });
  hear("view", () => {
    if (!view.hidden) enter(state.shown?.product || product);
  });
}
