/* Drift: whether the line looks as it did, what moved and since when, and the charts. */

import { $, make, notice } from "./dom.js";
import { count, dayOf, number, say } from "./words.js";
import { hear, products } from "./state.js";
import { get, showPicture } from "./server.js";

const CAUSES = {
  camera: "drift.camera",
  product: "drift.product",
  station: "drift.station",
  "camera or product": "drift.either",
};
const STREAMS = {
  "p-value": "stream.p_value",
  distance: "stream.distance",
  brightness: "stream.brightness",
  sharpness: "stream.sharpness",
};
const view = $("#view-drift");

let told = null; // the answer of /v1/drift
let asked = 0; // answers that come late are dropped
let product = ""; // all of them
let judged = []; // products that the log has, and the model may not know any more

const query = () => {
  const since = $("#drift-since").value;
  return new URLSearchParams({ ...(product ? { product } : {}), ...(since ? { since } : {}) });
};

async function ask() {
  const mine = (asked += 1);
  told = null;
  draw();
  notice($("#drift-said"), say("drift.looking"));
  try {
    const answer = await get(`v1/drift?${query()}`);
    if (mine !== asked) return;
    told = answer;
    if (!product) judged = answer.products.map((one) => one.product).filter(Boolean);
  } catch (error) {
    if (mine === asked) notice($("#drift-said"), error.message, true);
    return;
  }
  draw();
}

/* Products that have days enough for a chart. */
const charted = () => told.products.filter((one) => !one.too_few);
const streamOf = (one) => say(STREAMS[one.stream] || one.stream);
const nameOf = (one) => one.product || say("drift.no_name");

function drawSaid() {
  const box = $("#drift-said");
  const some = told.events.length;
  box.classList.toggle("warn", some > 0);
  if (some) return notice(box, say("drift.moves", { n: some }));
  if (!told.products.length) return notice(box, say("drift.none"));
  if (!charted().length) return notice(box, say("drift.early", { n: told.first }));
  notice(box, say("drift.quiet", { from: dayOf(told.from), until: dayOf(told.until) }));
}

function event(one) {
  const alarms = one.alarms.map((alarm) =>
    make("li", {
      text: say("drift.alarm", {
        product: nameOf(alarm),
        stream: streamOf(alarm),
        change: alarm.change,
        day: dayOf(alarm.since),
      }),
    }),
  );
  return make(
    "section",
    { class: "card alarm" },
    make("h2", { text: say(CAUSES[one.cause] || "drift.either") }),
    make("p", { text: say("drift.since", { since: dayOf(one.since), day: dayOf(one.day) }) }),
    make("ul", {}, alarms),
    make("p", { class: "soft", lang: "en", text: one.words }),
  );
}

/* A chart in the colours of either theme; the style sheet shows the one that fits. */
function figure(one) {
  const since = $("#drift-since").value;
  const images = ["light", "dark"].map((theme) => {
    const wanted = new URLSearchParams({ theme, ...(since ? { since } : {}) });
    const image = make("img", {
      class: `on-${theme}`,
      width: 720,
      height: 452,
      alt: say("drift.chart", { product: nameOf(one) }),
    });
    showPicture(image, `${one.chart.slice(1)}?${wanted}`);
    return image;
  });
  return make("div", { class: "scroll chart", tabindex: 0 }, images);
}

function row(one) {
  const { alarm } = one;
  const last = one.last === null ? say("drift.after", { n: told.first }) : `${number(one.last, 3)} sd`;
  return make(
    "tr",
    {},
    make("th", { scope: "row", class: "words", text: streamOf(one) }),
    make("td", { text: count(one.days) }),
    make("td", { text: count(one.pictures) }),
    make("td", { text: last }),
    make("td", { class: "words", text: alarm ? dayOf(alarm.day) : "" }),
    make("td", { class: "words", text: alarm ? dayOf(alarm.since) : "" }),
    make("td", { text: alarm ? alarm.change : "" }),
  );
}

const head = (keys) =>
  make(
    "thead",
    {},
    make(
      "tr",
      {},
      keys.map(([key, kind]) => make("th", { scope: "col", class: kind, text: say(key) })),
    ),
  );
const COLUMNS = [
  ["drift.stream", "words"],
  ["drift.days"],
  ["drift.pictures"],
  ["drift.last"],
  ["drift.alarmed", "words"],
  ["drift.from", "words"],
  ["drift.change"],
];

function card(one) {
  return make(
    "section",
    { class: "card" },
    make("h2", { text: nameOf(one) }),
    one.too_few
      ? make("p", { class: "soft", text: say("drift.few", { n: one.days, first: told.first }) })
      : figure(one),
    make(
      "div",
      { class: "scroll" },
      make("table", {}, head(COLUMNS), make("tbody", {}, one.streams.map(row))),
    ),
  );
}

function drawSoon() {
  const { at_once, a_day, played } = told.soon;
  const line = (key) => (one) =>
    make(
      "tr",
      {},
      make("th", { scope: "row", class: "words", text: say(key, { sd: number(one.sd) }) }),
      make("td", { text: one.within === null ? say("drift.not_seen", { n: played }) : count(one.within) }),
    );
  $("#drift-soon").hidden = !charted().length;
  $("#drift-soon-table").replaceChildren(
    head([["drift.moved_by", "words"], ["drift.within"]]),
    make("tbody", {}, at_once.map(line("drift.at_once")), a_day.map(line("drift.a_day"))),
  );
}

function draw() {
  const names = [...new Set([...products(), ...judged])].sort();
  $("#drift-product").replaceChildren(
    make("option", { value: "", text: say("drift.all") }),
    ...names.map((name) => make("option", { value: name, text: name })),
  );
  $("#drift-product").value = product;
  $("#drift-body").hidden = !told;
  if (!told) return;
  drawSaid();
  $("#drift-events").replaceChildren(...told.events.map(event));
  $("#drift-charts").replaceChildren(...told.products.map(card));
  $("#drift-promise").textContent = told.charts
    ? say("drift.promise", { n: told.charts, days: count(told.quiet_days) })
    : "";
  drawSoon();
}

export function startDrift() {
  $("#drift-product").addEventListener("change", (change) => {
    product = change.target.value;
    ask();
  });
  $("#drift-since").addEventListener("change", ask);
  hear("words model", draw);
  hear("view", () => {
    if (!view.hidden) ask();
  });
}
