/* Pictures come in: dropped, pasted, picked or by the folder, judged one after the other. */

import { $, make, shape } from "./dom.js";
import { count, say } from "./words.js";
import { hear, keepOriginal, products, show, state, tell } from "./state.js";
import { send } from "./server.js";
import { dropped, pause, takesFiles } from "./files.js";
import { KINDS, announceVerdict, wordOf } from "./verdict.js";

const TRIES = 20; // where the server is busy
const LISTED = 100; // of a folder's parts that are not OK

let queue = [];
let done = []; // what the batch's pictures turned out to be
let working = false;
let stopping = new AbortController();

/* What a file that the server refused is told as. */
function unreadable(file, reason) {
  return {
    id: null,
    image: file.name,
    product: "",
    verdict: "UNREADABLE",
    reason,
    time: new Date().toISOString(),
  };
}

async function judged(file) {
  const most = state.model?.limits?.body_bytes;
  if (most && file.size > most) {
    return unreadable(file, say("error.large", { mb: count(Math.floor(most / 1e6)) }));
  }
  const query = new URLSearchParams({ product: $("#product").value, name: file.name });
  for (let tried = 1; ; tried += 1) {
    try {
      const told = await send("POST", `v1/inspect?${query}`, file, stopping.signal);
      const one = told.predictions ? told.predictions[0] : told;
      if (one.id) keepOriginal(one.id, file);
      return one;
    } catch (error) {
      if (error.name === "AbortError") throw error;
      if (![429, 503].includes(error.status) || tried >= TRIES || !state.model)
        return unreadable(file, error.message);
      $("#progress-words").textContent = say("intake.busy");
      await pause(error.wait || 1);
    }
  }
}

/* Judge files, or put them behind those that are being judged. */
export async function take(files) {
  if (!files.length) return;
  queue.push(...files);
  if (working) return progress();
  working = true;
  stopping = new AbortController();
  done = [];
  $("#judged").hidden = true;
  $("#result").setAttribute("aria-busy", "true");
  try {
    while (queue.length && !stopping.signal.aborted) {
      progress();
      const one = await judged(queue[0]);
      queue.shift();
      done.push(one);
      shown(one);
    }
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  } finally {
    queue = [];
    working = false;
    $("#result").removeAttribute("aria-busy");
    progress();
    summary();
  }
}

function shown(one) {
  if (one.id) {
    state.list = [one, ...state.list.filter((other) => other.id !== one.id)].slice(0, 50);
    tell("list");
  }
  show(one, { follow: false });
  if (queue.length === 0) announceVerdict(one);
}

function progress() {
  const all = done.length + queue.length;
  $("#progress").hidden = !working;
  $("#drop").classList.toggle("busy", working);
  $("#progress-bar").max = Math.max(1, all);
  $("#progress-bar").value = done.length;
  $("#stop").hidden = all < 2;
  $("#progress-words").textContent =
    all > 1
      ? say("intake.nth", { k: count(Math.min(all, done.length + 1)), of: count(all) })
      : say("intake.judging");
}

/* What became of several pictures: how many of each, those that are not OK, a table to keep. */
function summary() {
  const box = $("#judged");
  box.hidden = done.length < 2;
  if (box.hidden) return;
  const counts = Object.keys(KINDS).map((verdict) => [
    verdict,
    done.filter((one) => one.verdict === verdict).length,
  ]);
  const stopped = done.filter((one) => one.verdict !== "OK");
  box.replaceChildren(
    make("h2", { text: say("judged.title", { n: done.length }) }),
    make(
      "ul",
      { class: "counts" },
      counts
        .filter(([, n]) => n)
        .map(([verdict, n]) =>
          make(
            "li",
            { class: KINDS[verdict] },
            shape(KINDS[verdict]),
            ` ${count(n)} ${wordOf({ verdict })}`,
          ),
        ),
    ),
    make(
      "ul",
      { class: "found" },
      stopped
        .slice(0, LISTED)
        .map((one) =>
          make(
            "li",
            { class: KINDS[one.verdict] },
            make(
              "button",
              { type: "button", class: "link", on: { click: () => show(one, { follow: false }) } },
              shape(KINDS[one.verdict]),
              ` ${one.image}`,
            ),
          ),
        ),
    ),
    make("button", {
      type: "button",
      class: "small",
      text: say("judged.save"),
      on: { click: save },
    }),
  );
}

const COLUMNS = [
  "image",
  "product",
  "verdict",
  "reason",
  "score",
  "threshold",
  "p_value",
  "good_parts",
  "nearest_site",
  "nearest_distance",
  "alike_image",
  "time",
  "sha256",
  "model",
  "id",
];

/* A cell of a table: no text in it is a formula. */
function cell(value) {
  if (value === null || value === undefined) return "";
  const text =
    typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function save() {
  const rows = [COLUMNS, ...done.map((one) => COLUMNS.map((name) => cell(one[name])))];
  const url = URL.createObjectURL(
    new Blob([rows.map((row) => row.join(",")).join("\r\n")], { type: "text/csv" }),
  );
  const link = make("a", { href: url, download: "verdicts.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/* The products that may be chosen; what was chosen stays if it is still there. */
function drawProducts() {
  const select = $("#product");
  const chosen = select.value;
  select.replaceChildren(
    make("option", { value: "", text: say("intake.recognise") }),
    ...products().map((name) => make("option", { value: name, text: name })),
  );
  select.value = products().includes(chosen) ? chosen : "";
}

/* A drop anywhere counts, unless another view is open that takes pictures itself. */
function takesDrops() {
  const cover = $("#dropping");
  let inside = 0;
  const open = () => !$("#view-inspect").hidden;
  const leave = () => {
    inside = 0;
    cover.hidden = true;
  };
  addEventListener("dragenter", (event) => {
    if (!open() || ![...event.dataTransfer.types].includes("Files")) return;
    inside += 1;
    cover.hidden = false;
  });
  addEventListener("dragleave", () => {
    inside -= 1;
    if (inside <= 0) leave();
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    leave();
    if (open()) take(await dropped(event.dataTransfer));
  });
  document.addEventListener("let-go", leave);
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files || [])];
    if (files.length && open()) take(files);
  });
}

export function startIntake() {
  takesFiles(
    {
      zone: $("#drop"),
      button: $("#pick"),
      input: $("#files"),
      folderButton: $("#pick-folder"),
      folderInput: $("#folder"),
    },
    take,
  );
  takesDrops();
  $("#stop").addEventListener("click", () => stopping.abort());
  hear("model words", drawProducts);
  hear("words", () => {
    progress();
    summary();
  });
}
