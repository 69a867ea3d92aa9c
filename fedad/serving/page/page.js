/* The page at the line: six views of one server. Each module draws what it hears of. */

import { $, all, notice } from "./dom.js";
import { loadWords, say, short } from "./words.js";
import { hear, state, tell } from "./state.js";
import { get } from "./server.js";
import { startDrift } from "./drift.js";
import { startIntake } from "./intake.js";
import { startKeys } from "./keys.js";
import { startModels } from "./models.js";
import { startPicture } from "./picture.js";
import { startSettings } from "./settings.js";
import { poll, startStrip } from "./strip.js";
import { startTeach } from "./teach.js";
import { startThreshold } from "./threshold.js";
import { startVerdict } from "./verdict.js";

const EVERY = 1000; // ms between two looks at what the server judged
const MODEL = 15; // looks between two questions for the model

/* The view that the address names; any other name leaves the page as it is. */
function route() {
  const name = location.hash.slice(1) || "inspect";
  const view = document.getElementById(`view-${name}`);
  if (!view) return;
  for (const one of all(".view")) one.hidden = one !== view;
  for (const link of all("header nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  scrollTo(0, 0);
  tell("view");
}

async function askModel() {
  const before = JSON.stringify([state.model, state.why]);
  try {
    state.model = await get("v1/model");
    state.why = "";
  } catch (error) {
    if (error.status !== 503 && error.status !== 404) throw error;
    state.model = null;
    state.why = error.message;
  }
  if (JSON.stringify([state.model, state.why]) !== before) tell("model");
}

function drawWhere() {
  $("#site").textContent = state.model?.site || "";
  $("#model-short").textContent = state.model
    ? say("top.model", { model: short(state.model.model) })
    : "";
}

function drawReady(kind, words) {
  const box = $("#readiness");
  if (box.dataset.kind === kind && box.textContent === words) return;
  box.dataset.kind = kind;
  box.textContent = words;
}

/* One look after the other, while somebody can see it; at once where a model was made here. */
async function watch() {
  let looks = 0;
  let newest = ""; // the last part that another model than the known one has judged
  let wake = () => {};
  document.addEventListener("models-changed", () => {
    looks = 0;
    wake();
  });
  for (;;) {
    if (!document.hidden) {
      try {
        if (looks % MODEL === 0) await askModel();
        await poll();
        const [part] = state.list;
        if (part && state.model && part.model !== state.model.model && part.id !== newest) {
          newest = part.id;
          await askModel();
        }
        notice($("#trouble"), "");
        drawReady(
          state.model ? "ready" : "waiting",
          say(state.model ? "top.ready" : "top.no_model"),
        );
      } catch (error) {
        notice($("#trouble"), error.message, true);
        drawReady("away", say(error.status === 401 ? "top.locked" : "top.away"));
        looks = -1; // the model may be another when it is back
      }
      looks += 1;
    }
    await new Promise((done) => {
      wake = done;
      setTimeout(done, EVERY);
    });
  }
}

async function start() {
  await loadWords();
  for (const begin of [
    startSettings,
    startVerdict,
    startPicture,
    startIntake,
    startStrip,
    startThreshold,
    startTeach,
    startModels,
    startDrift,
    startKeys,
  ])
    begin();
  hear("model words", drawWhere);
  addEventListener("hashchange", () => {
    route();
    $("#main").focus({ preventScroll: true });
  });
  tell("words");
  route();
  tell("shown");
  watch();
}

start();
