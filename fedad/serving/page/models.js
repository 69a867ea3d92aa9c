/* The model that judges, those that wait, the way back; and normals that were added by hand. */

import { $, make, notice } from "./dom.js";
import { count, number, percent, say, short, when } from "./words.js";
import { hear, known, products, state } from "./state.js";
import { get, post, remove } from "./server.js";
import { ask } from "./dialogs.js";
import { allReasons, reason } from "./reasons.js";

let normals = null;

function productRows() {
  return products().map((name) => {
    const one = known(name);
    return make(
      "tr",
      {},
      make("th", { scope: "row", class: "words", text: name }),
      make("td", { text: count(one.parts ?? one.images) }),
      make("td", { text: percent(one.wished) }),
      make("td", { text: number(one.threshold) }),
      make("td", { class: "words", lang: "en", text: one.stale || one.promise || "" }),
    );
  });
}

function drawCurrent() {
  const box = $("#current");
  const model = state.model;
  if (!model)
    return box.replaceChildren(
      make("p", { class: "soft", text: state.why || say("empty.no_model") }),
    );
  const head = (key, kind) => make("th", { scope: "col", class: kind, text: say(key) });
  const facts = [
    ["facts.model", model.model],
    ["facts.site", model.site],
    ["models.source", model.source],
    ["models.made", when(model.made, true)],
    ["models.extras", count(model.extras ?? 0)],
  ];
  box.replaceChildren(
    make(
      "dl",
      { class: "facts" },
      facts
        .filter(([, value]) => value)
        .map(([key, value]) =>
          make("div", {}, make("dt", { text: say(key) }), make("dd", { text: value })),
        ),
    ),
    make(
      "div",
      { class: "scroll" },
      make(
        "table",
        {},
        make(
          "thead",
          {},
          make(
            "tr",
            {},
            head("intake.product", "words"),
            head("models.parts"),
            head("models.wished"),
            head("facts.limit"),
            head("models.promise", "words"),
          ),
        ),
        make("tbody", {}, productRows()),
      ),
    ),
  );
}

function reasonItem(one) {
  const said = reason(one);
  return said === one ? make("li", { lang: "en", text: one }) : make("li", { text: said });
}

function waiting({ model, reasons }) {
  return make(
    "div",
    { class: "waiting" },
    make("h3", {}, make("code", { text: short(model) })),
    make(
      "ul",
      {},
      (reasons || []).map(reasonItem),
    ),
    make(
      "div",
      { class: "buttons" },
      make("button", {
        type: "button",
        text: say("models.accept"),
        on: { click: () => accept(model, reasons || []) },
      }),
    ),
  );
}

function draw() {
  drawCurrent();
  const some = state.model?.waiting || [];
  $("#waiting").replaceChildren(
    ...(some.length
      ? some.map(waiting)
      : [make("p", { class: "soft", text: say("models.none_waiting") })]),
  );
  $("#rollback").disabled = !state.model;
  drawNormals();
}

async function change(act, words) {
  const box = $("#models-told");
  notice(box, say("models.changing"));
  try {
    const { model } = await act();
    notice(box, say(words, { model: short(model) }));
    document.dispatchEvent(new Event("models-changed"));
  } catch (error) {
    notice(box, error.message, true);
  }
}

async function accept(model, reasons) {
  if (
    await ask(
      say("models.ask_accept", { model: short(model) }),
      [say("models.ask_accept_words"), ...reasons.map(reason)],
      say("models.accept"),
    )
  ) {
    await change(() => post(`v1/models/${model}/accept`), "models.judges");
  }
}

async function rollback() {
  if (
    await ask(
      say("models.ask_rollback"),
      [say("models.ask_rollback_words", { model: short(state.model.model) })],
      say("models.rollback"),
    )
  ) {
    await change(() => post("v1/rollback"), "models.judges");
  }
}

async function askNormals() {
  try {
    normals = await get("v1/normals");
  } catch (error) {
    normals = { normals: [], error: error.message };
  }
  drawNormals();
}

function drawNormals() {
  const table = $("#normals");
  const some = normals?.normals || [];
  table.hidden = !some.length;
  $("#normals-cap").textContent = !normals
    ? ""
    : normals.error ||
      (some.length
        ? say("normals.cap", { n: some.length, cap: count(normals.cap ?? 0) })
        : say("normals.none"));
  $("tbody", table).replaceChildren(
    ...some.map((one) =>
      make(
        "tr",
        {},
        make("th", { scope: "row", class: "words", text: one.name }),
        make("td", { class: "words", text: one.product }),
        make("td", { class: "words", text: when(one.added, true) }),
        make("td", { text: count(one.rows) }),
        make(
          "td",
          {},
          make("button", {
            type: "button",
            class: "small",
            text: say("normals.remove"),
            "aria-label": `${say("normals.remove")}: ${one.name}`,
            on: { click: () => removeNormal(one) },
          }),
        ),
      ),
    ),
  );
}

async function removeNormal(one) {
  if (
    !(await ask(
      say("normals.ask_remove"),
      [say("normals.ask_remove_words", { name: one.name })],
      say("normals.remove"),
    ))
  )
    return;
  const box = $("#normals-told");
  notice(box, say("threshold.working"));
  try {
    const told = await remove(`v1/normals/${one.sha256}`);
    notice(
      box,
      told.accepted === false
        ? say("models.waits", { model: short(told.model), why: allReasons(told) })
        : say("normals.removed"),
      told.accepted === false,
    );
    document.dispatchEvent(new Event("models-changed"));
  } catch (error) {
    notice(box, error.message, true);
  }
}

export function startModels() {
  $("#rollback").addEventListener("click", rollback);
  hear("model words", draw);
  hear("view", () => {
    if (!$("#view-teach").hidden) askNormals();
    notice($("#models-told"), "");
  });
  document.addEventListener("models-changed", () => {
    if (!$("#view-teach").hidden) askNormals();
  });
}
