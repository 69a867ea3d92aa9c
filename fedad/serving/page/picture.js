/* The part under its heat: opacity, a frame at the oddest place, zoom, the model's colour bar. */

import { $, kept } from "./dom.js";
import { say } from "./words.js";
import { hear, known, originalOf, state } from "./state.js";
import { showPicture } from "./server.js";
import { bar } from "./scale.js";

const ZOOMS = [1, 1.5, 2, 3, 4, 6, 8];
const TALLEST = 0.62; // of the window's height

let zoom = 1;
let last = 55; // opacity before it was turned off
const viewport = $("#viewport");
const stage = $("#stage");
const slider = $("#opacity");

/* Colours of the part must not pass for heat: it turns grey as the heat comes. */
export function setOpacity(wished) {
  const value = Math.min(100, Math.max(0, Math.round(wished)));
  slider.value = value;
  $("#opacity-said").textContent = `${value}\u00a0%`;
  slider.setAttribute("aria-valuetext", `${value} %`);
  $("#shown-heat").style.opacity = value / 100;
  $("#shown-picture").style.filter = `grayscale(${Math.min(1, value / 40)})`;
  if (value) last = value;
  kept.set("opacity", value);
}
export const changeOpacity = (by) => setOpacity(Number(slider.value) + by);
export const toggleHeat = () => setOpacity(Number(slider.value) ? 0 : last);

function fitted() {
  const wide = Math.max(120, viewport.clientWidth);
  const tall = Math.max(200, innerHeight * TALLEST);
  const { width, height } = sizeOf(state.shown);
  return Math.min(wide, tall * (width / height));
}

function sizeOf(one) {
  const image = $("#shown-picture");
  return one?.width && one?.height
    ? { width: one.width, height: one.height }
    : { width: image.naturalWidth || 4, height: image.naturalHeight || 3 };
}

function lay() {
  const wide = fitted();
  const { width, height } = sizeOf(state.shown);
  viewport.style.height = `${Math.round((wide * height) / width)}px`;
  stage.style.setProperty("--ratio", width / height); // paper has its own width
  stage.style.width = `${Math.round(wide * zoom)}px`;
  stage.style.height = `${Math.round((wide * zoom * height) / width)}px`;
  $("#zoom-fit").textContent = `${Math.round(zoom * 100)}\u00a0%`;
  $("#zoom-out").disabled = zoom <= ZOOMS[0];
  $("#zoom-in").disabled = zoom >= ZOOMS.at(-1);
}

/* Zoom, and keep a point (shares of the picture) in the middle. */
export function zoomTo(wished, at = middle()) {
  zoom = Math.min(ZOOMS.at(-1), Math.max(1, wished));
  lay();
  viewport.scrollLeft = at.x * stage.offsetWidth - viewport.clientWidth / 2;
  viewport.scrollTop = at.y * stage.offsetHeight - viewport.clientHeight / 2;
}
export function zoomBy(steps) {
  const next = ZOOMS.findIndex((one) => one >= zoom) + steps;
  zoomTo(ZOOMS[Math.min(ZOOMS.length - 1, Math.max(0, next))]);
}
function middle() {
  return {
    x: (viewport.scrollLeft + viewport.clientWidth / 2) / stage.offsetWidth,
    y: (viewport.scrollTop + viewport.clientHeight / 2) / stage.offsetHeight,
  };
}
export function zoomToOdd() {
  const one = state.shown;
  if (!one?.place || !one.width) return;
  const [left, top, wide, tall] = one.place;
  const wished = 0.45 * Math.min(one.width / wide, one.height / tall);
  zoomTo(zoom > 1.2 ? 1 : wished, {
    x: (left + wide / 2) / one.width,
    y: (top + tall / 2) / one.height,
  });
}

/* The frame, in shares of the picture: it stays where it is whatever the zoom. */
function frame(one) {
  const box = $("#frame");
  box.hidden = !one.place || !one.width;
  $("#zoom-odd").hidden = box.hidden;
  if (box.hidden) return;
  const [left, top, wide, tall] = one.place;
  Object.assign(box.style, {
    left: `${(100 * left) / one.width}%`,
    top: `${(100 * top) / one.height}%`,
    width: `${(100 * wide) / one.width}%`,
    height: `${(100 * tall) / one.height}%`,
  });
  box.classList.toggle("mild", one.verdict !== "NOK");
}

async function draw() {
  const one = state.shown;
  if (!one) return;
  const heat = $("#shown-heat");
  heat.hidden = !one.pictures?.heat;
  viewport.setAttribute("aria-label", say("picture.label", { name: one.image }));
  zoom = 1;
  lay();
  frame(one);
  drawBar();
  const [there] = await Promise.all([
    showPicture($("#shown-picture"), one.pictures?.picture),
    showPicture(heat, one.pictures?.heat),
  ]);
  if (state.shown !== one) return;
  stage.hidden = !there;
  $("#picture-gone").hidden = there;
  sayGone();
  lay();
  if (there) sharpen(one);
}

function sayGone() {
  const gone = state.shown?.restored ? "picture.restored" : "picture.gone";
  $("#picture-gone").textContent = say(gone);
}

/* Where the file was dropped here it is shown itself: there is more in it to zoom into. */
async function sharpen(one) {
  const url = originalOf(one.id);
  if (!url) return;
  const probe = new Image();
  probe.src = url;
  try {
    await probe.decode();
  } catch {
    return;
  } // a kind that the browser does not draw
  const same = Math.abs(probe.naturalWidth / probe.naturalHeight - one.width / one.height) < 0.02;
  if (!same || state.shown !== one) return;
  $("#shown-picture").dataset.wanted = url;
  $("#shown-picture").src = url;
}

function drawBar() {
  const one = state.shown;
  if (!one) return;
  const scale = one.scale || known(one.product)?.scale;
  bar($("#bar"), {
    scale: one.pictures ? scale : null,
    threshold: one.threshold,
    score: one.score,
    verdict: kindOf(one),
  });
}

const kindOf = (one) => ({ OK: "ok", NOK: "nok" })[one.verdict] || "again";

function drag(event) {
  if (event.button !== 0 || event.pointerType !== "mouse" || zoom === 1) return;
  event.preventDefault();
  viewport.focus();
  viewport.setPointerCapture(event.pointerId);
  const from = { x: event.clientX + viewport.scrollLeft, y: event.clientY + viewport.scrollTop };
  const move = (now) => {
    viewport.scrollLeft = from.x - now.clientX;
    viewport.scrollTop = from.y - now.clientY;
  };
  viewport.addEventListener("pointermove", move);
  viewport.addEventListener(
    "lostpointercapture",
    () => viewport.removeEventListener("pointermove", move),
    { once: true },
  );
}

export function startPicture() {
  setOpacity(Number(kept.get("opacity", "55")));
  slider.addEventListener("input", () => setOpacity(Number(slider.value)));
  $("#zoom-in").addEventListener("click", () => zoomBy(1));
  $("#zoom-out").addEventListener("click", () => zoomBy(-1));
  $("#zoom-fit").addEventListener("click", () => zoomTo(1));
  $("#zoom-odd").addEventListener("click", zoomToOdd);
  viewport.addEventListener("pointerdown", drag);
  viewport.addEventListener("dblclick", (event) => {
    const box = stage.getBoundingClientRect();
    zoomTo(zoom > 1 ? 1 : 3, {
      x: (event.clientX - box.left) / box.width,
      y: (event.clientY - box.top) / box.height,
    });
  });
  viewport.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      zoomBy(event.deltaY < 0 ? 1 : -1);
    },
    { passive: false },
  );
  new ResizeObserver(() => {
    if (!$("#record").hidden) {
      lay();
      drawBar();
    }
  }).observe($("#result"));
  hear("shown", draw);
  hear("words model", () => {
    if (state.shown) drawBar();
    sayGone();
  });
}
