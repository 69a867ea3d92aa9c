/* The last parts, newest first: what was judged here and what the server watches. */

import { $, make, shape } from "./dom.js";
import { say, when } from "./words.js";
import { hear, show, state, tell } from "./state.js";
import { get, showPicture } from "./server.js";
import { announceVerdict, kindOf, wordOf } from "./verdict.js";

const KEPT = 50;
const items = new Map(); // id -> its <li>
const seen = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      showPicture(target, target.dataset.url);
    }
  },
  { rootMargin: "200px" },
);

/* Ask for the newest; the whole list only if it is another one. */
export async function poll() {
  const {
    inspections: [newest],
  } = await get("v1/inspections?last=1");
  if ((newest?.id || "") === (state.list[0]?.id || "")) return;
  const { inspections } = await get(`v1/inspections?last=${KEPT}`);
  const known = new Set(state.list.map((one) => one.id));
  const fresh = inspections.filter((one) => !known.has(one.id));
  const first = state.list.length === 0;
  state.list = inspections.filter((one) => one.id);
  if (!state.following && !first) state.unseen += fresh.length;
  tell("list");
  const top = state.list[0];
  if (state.following && top && top.id !== state.shown?.id) {
    show(top);
    if (!first) announceVerdict(top);
  }
}

function item(one) {
  const image = make("img", { alt: "", width: 72, height: 54 });
  if (one.pictures?.picture) {
    image.dataset.url = one.pictures.picture;
    seen.observe(image);
  }
  const pick = () => show(one, { follow: false });
  const button = make(
    "button",
    { type: "button", on: { click: pick } },
    make("span", { class: "thumb" }, image),
    make("span", { class: "verdict-small" }, shape(kindOf(one)), make("b")),
    make("span", { class: "time soft" }),
  );
  return make("li", { class: kindOf(one) }, button);
}

function draw() {
  const list = $("#strip");
  const wanted = state.list.map((one) => {
    if (!items.has(one.id)) items.set(one.id, item(one));
    const made = items.get(one.id);
    const button = $("button", made);
    $("b", made).textContent = wordOf(one);
    $(".time", made).textContent = when(one.time);
    button.setAttribute(
      "aria-label",
      [wordOf(one), one.product, one.image, when(one.time)].filter(Boolean).join(", "),
    );
    button.title = one.image || "";
    made.classList.toggle("told", Boolean(one.operator));
    if (one.id === state.shown?.id) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    return made;
  });
  for (const [id, made] of items) if (!wanted.includes(made)) items.delete(id);
  const same =
    wanted.length === list.children.length && wanted.every((one, k) => one === list.children[k]);
  if (!same) {
    const focused = list.contains(document.activeElement) ? document.activeElement : null;
    list.replaceChildren(...wanted);
    if (focused?.isConnected) focused.focus();
  }
  $("#strip-empty").hidden = wanted.length > 0;
  drawFollow();
}

function drawFollow() {
  const button = $("#follow");
  button.hidden = state.list.length === 0;
  button.setAttribute("aria-pressed", String(state.following));
  button.textContent =
    state.following || !state.unseen
      ? say("strip.follow")
      : say("strip.unseen", { n: state.unseen });
}

export function follow() {
  if (state.following) {
    state.following = false;
    drawFollow();
  } else if (state.list[0]) show(state.list[0], { follow: true });
}

/* The part that is shown scrolls into sight within the strip, the page stays where it is. */
function bring() {
  draw();
  const made = items.get(state.shown?.id);
  const box = $("#strip");
  if (!made) return;
  const [item_, frame] = [made.getBoundingClientRect(), box.getBoundingClientRect()];
  if (item_.top < frame.top) box.scrollTop -= frame.top - item_.top;
  if (item_.bottom > frame.bottom) box.scrollTop += item_.bottom - frame.bottom;
  if (item_.left < frame.left) box.scrollLeft -= frame.left - item_.left;
  if (item_.right > frame.right) box.scrollLeft += item_.right - frame.right;
}

export function startStrip() {
  $("#follow").addEventListener("click", follow);
  hear("list words", draw);
  hear("shown", bring);
}
