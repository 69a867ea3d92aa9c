/* A new product, or a variant of one, from good pictures: sent as they come, learned when told. */

import { $, make, notice } from "./dom.js";
import { best, count, needed, percent, say } from "./words.js";
import { hear, known, state } from "./state.js";
import { get, post, remove, send } from "./server.js";
import { pause, takesFiles } from "./files.js";
import { outcome } from "./outcome.js";

const RATES = [0.01, 0.02, 0.05, 0.1, 0.2];
const THUMBS = 60;
const KEY = "fedad.teaching"; // an open one outlives a reload
const NAME = /^[^\s/\\.][^/\\]{0,59}$/;

let teaching = null; // {id, product, pictures, state, told, ...}
let opening = null; // the one that is being opened
let sending = { done: 0, of: 0 };
let wrong = [];

function keep() {
  try {
    if (teaching)
      sessionStorage.setItem(KEY, JSON.stringify({ id: teaching.id, product: teaching.product }));
    else sessionStorage.removeItem(KEY);
  } catch {
    /* storage is off */
  }
}

const nameOf = () => $("#teach-name").value.trim();
const open = () => !teaching || ["collecting", "refused"].includes(teaching.state);

/* The server opens it with the first picture. */
async function opened() {
  if (teaching) return teaching;
  opening ??= post("v1/teachings", { product: nameOf() });
  try {
    const { id } = await opening;
    teaching ??= { id, product: nameOf(), pictures: 0, state: "collecting", told: "" };
    keep();
  } finally {
    opening = null;
  }
  return teaching;
}

async function take(files) {
  if (!files.length || !open()) return;
  if (!NAME.test(nameOf())) {
    $("#teach-name").setAttribute("aria-invalid", "true");
    $("#teach-name").focus();
    wrong = [say("teach.name_first")];
    return draw();
  }
  wrong = [];
  sending.of += files.length;
  draw();
  for (const file of files) {
    try {
      const { id } = await opened();
      const told = await sent(id, file);
      if (!teaching || teaching.id !== id) break; // it was discarded meanwhile
      Object.assign(teaching, told, { state: "collecting" });
      thumb(file);
    } catch (error) {
      wrong.push(`${file.name}: ${error.message}`);
      if (!teaching) break; // it could not even be opened
    } finally {
      sending.done += 1;
      draw();
    }
  }
  if (sending.done >= sending.of || !teaching) sending = { done: 0, of: 0 };
  draw();
}

async function sent(id, file) {
  for (;;) {
    try {
      return await send(
        "PUT",
        `v1/teachings/${id}/pictures?${new URLSearchParams({ name: file.name })}`,
        file,
      );
    } catch (error) {
      if (error.status !== 429 && error.status !== 503) throw error;
      await pause(error.wait || 1);
    }
  }
}

function thumb(file) {
  const list = $("#teach-thumbs");
  if (list.children.length >= THUMBS || !file.type.startsWith("image/")) return;
  const url = URL.createObjectURL(file);
  const image = make("img", { alt: file.name, title: file.name, width: 64, height: 48 });
  image.addEventListener("error", () => image.parentElement?.remove());
  image.src = url;
  list.append(make("li", {}, image));
}

async function start() {
  const rate = Number($("#teach-rate").value);
  wrong = [];
  try {
    Object.assign(teaching, await post(`v1/teachings/${teaching.id}`, { rate }), {
      state: "learning",
    });
    draw();
    await watch();
  } catch (error) {
    wrong = [error.message];
    draw();
  }
}

/* Look at the job until it ends; it goes on without this page. */
async function watch() {
  const mine = teaching;
  while (teaching === mine && mine.state === "learning") {
    try {
      Object.assign(mine, await get(`v1/teachings/${mine.id}`));
    } catch (error) {
      if (error.status === 404) {
        mine.state = "refused";
        mine.told = error.message;
      }
    }
    if (teaching === mine) draw();
    if (mine.state === "learning") await pause(1);
  }
  if (mine.state === "done") document.dispatchEvent(new Event("models-changed"));
}

async function discard() {
  const mine = teaching;
  teaching = null;
  sending = { done: 0, of: 0 };
  wrong = [];
  keep();
  $("#teach-thumbs").replaceChildren();
  $("#teach-name").value = "";
  draw();
  if (mine && mine.state !== "done") await remove(`v1/teachings/${mine.id}`).catch(() => {});
  $("#teach-name").focus();
}

/* After a reload: what is still open goes on. */
async function resume() {
  try {
    const left = JSON.parse(sessionStorage.getItem(KEY) || "null");
    if (!left) return;
    teaching = { ...left, ...(await get(`v1/teachings/${left.id}`)), product: left.product };
    $("#teach-name").value = left.product;
    draw();
    if (teaching.state === "learning") await watch();
  } catch {
    teaching = null;
    keep();
  }
}

function told() {
  if (!teaching) return ["", false];
  if (teaching.state === "learning")
    return [`${say("teach.learning")} ${teaching.told || ""}`, false];
  if (teaching.state === "refused")
    return [say("teach.refused", { why: teaching.told || "" }), true];
  if (teaching.state === "done")
    return [
      `${say("teach.done", { product: teaching.product })} ${outcome(teaching)}`,
      !teaching.accepted,
    ];
  return ["", false];
}

function draw() {
  const n = teaching?.pictures ?? 0;
  const name = nameOf();
  $("#teach-name").disabled = Boolean(teaching);
  if (NAME.test(name)) $("#teach-name").removeAttribute("aria-invalid");
  $("#teach-name-said").textContent =
    name && known(name) ? say("teach.known", { product: name }) : say("teach.name_why");
  const still = sending.of > 0;
  $("#teach-sent").hidden = !still;
  $("#teach-sent").max = Math.max(1, sending.of);
  $("#teach-sent").value = sending.done;
  $("#teach-count").textContent = n
    ? say("teach.count", { n, best: percent(best(n)) })
    : say("teach.none");
  $("#teach-wrong").replaceChildren(...wrong.slice(0, 8).map((line) => make("li", { text: line })));
  const rate = Number($("#teach-rate").value);
  const enough = n >= needed(rate);
  $("#teach-can").textContent =
    n === 0
      ? ""
      : enough
        ? say("teach.enough", { rate: percent(rate) })
        : say("teach.more", { n: needed(rate) - n, rate: percent(rate) });
  $("#teach-start").disabled = !teaching || !open() || still || !enough;
  $("#teach-discard").hidden = !teaching;
  $("#teach-discard").textContent =
    teaching?.state === "done" ? say("teach.another") : say("teach.discard");
  for (const id of ["#teach-pick", "#teach-pick-folder"]) $(id).disabled = !open();
  $("#teach-rate").disabled = !open();
  const [words, bad] = told();
  notice($("#teach-told"), words, bad);
  $("#teach-told").classList.toggle("working", teaching?.state === "learning");
}

function drawRates() {
  const select = $("#teach-rate");
  const chosen = select.value || "0.1";
  select.replaceChildren(
    ...RATES.map((rate) =>
      make("option", {
        value: rate,
        text: say("teach.rate_option", { rate: percent(rate), n: count(needed(rate)) }),
      }),
    ),
  );
  select.value = chosen;
}

export function startTeach() {
  takesFiles(
    {
      zone: $("#teach-drop"),
      button: $("#teach-pick"),
      input: $("#teach-files"),
      folderButton: $("#teach-pick-folder"),
      folderInput: $("#teach-folder"),
    },
    take,
  );
  $("#teach-name").addEventListener("input", draw);
  $("#teach-rate").addEventListener("change", draw);
  $("#teach-start").addEventListener("click", start);
  $("#teach-discard").addEventListener("click", discard);
  hear("words", () => {
    drawRates();
    draw();
  });
  hear("model", draw);
  if (state) resume();
}
