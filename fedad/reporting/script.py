"""The page's script: theme, threshold sliders, hover and copying. No library, no network."""

SCRIPT = r"""
"use strict";
const $ = (q, at = document) => at.querySelector(q);
const all = (q, at = document) => [...at.querySelectorAll(q)];

/* Theme: the system's, until somebody chooses. */
$("#theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
  document.documentElement.dataset.theme = dark ? "light" : "dark";
});

/* Copying: the clipboard where there is one, else by way of a selected text. */
function copy(text, said) {
  const old = said && said.textContent;
  const done = () => { if (said) { said.textContent = "copied";
    setTimeout(() => { said.textContent = old; }, 1500); } };
  const byHand = () => {
    const area = document.createElement("textarea");
    area.value = text; document.body.append(area); area.select();
    document.execCommand("copy"); area.remove(); done();
  };
  if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, byHand);
  else byHand();
}
all("button.copy").forEach(button => button.addEventListener("click", () =>
  copy($("code", button.parentElement).textContent, button)));

/* Hover and focus: what a point is, and the command that makes it. */
const tip = $("#tip");
function show(point) {
  tip.replaceChildren();
  const [first, ...lines] = point.dataset.tip.split("\n");
  const head = document.createElement("b"); head.textContent = first; tip.append(head);
  for (const line of lines) {
    const row = document.createElement("div"); row.textContent = line; tip.append(row);
  }
  if (point.dataset.command) {
    const code = document.createElement("code");
    code.textContent = point.dataset.command; tip.append(code);
  }
  tip.hidden = false;
  const box = point.getBoundingClientRect();
  const left = Math.min(box.right + 12, innerWidth - tip.offsetWidth - 8);
  const top = Math.min(box.top + 12, innerHeight - tip.offsetHeight - 8);
  tip.style.left = Math.max(8, left) + "px"; tip.style.top = Math.max(8, top) + "px";
}
all("[data-tip]").forEach(point => {
  for (const on of ["mouseenter", "focus"]) point.addEventListener(on, () => show(point));
  for (const off of ["mouseleave", "blur"])
    point.addEventListener(off, () => { tip.hidden = true; });
  if (point.dataset.command) point.addEventListener("click", () => {
    copy(point.dataset.command); tip.append(" copied");
  });
});

/* Thresholds: how many good parts are stopped, and how many defects pass. */
function above(sorted, threshold) {  /* how many scores lie above it */
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] > threshold) high = middle; else low = middle + 1;
  }
  return sorted.length - low;
}
function rate(cases, of, intervals) {
  if (!of) return "none to judge";
  const [low, high] = intervals[of][cases];
  const percent = share => (100 * share).toFixed(1) + " %";
  return `${cases} of ${of} (${percent(cases / of)}; 95 %: ${percent(low)} to ${percent(high)})`;
}
all(".scores").forEach(box => {
  const told = JSON.parse($("script", box).textContent);
  const slider = $("input", box), choice = $("select", box), line = $(".threshold", box);
  const bars = { good: all(".good", box), bad: all(".bad", box) };
  const scale = told.log ? Math.log : value => value;
  const begin = scale(told.low), span = scale(told.high) - begin;
  let calibrated = null;  /* until the slider moves: its steps are too coarse to be exact */
  const back = told.log ? Math.exp : value => value;
  const score = () => calibrated ?? back(begin + span * slider.value / 1000);
  const place = value => (scale(value) - begin) / span;
  const at = name => told.sites[name];
  function draw() {
    const site = at(choice.value);
    for (const [sort, up] of [["good", true], ["bad", false]]) {
      const counts = new Array(told.bins).fill(0);
      for (const s of site[sort])
        counts[Math.min(told.bins - 1, Math.max(0, Math.floor(place(s) * told.bins)))] += 1;
      const most = Math.max(1, ...counts);
      bars[sort].forEach((bar, k) => {
        const height = told.half * counts[k] / most;
        bar.setAttribute("height", height.toFixed(1));
        bar.setAttribute("y", (told.middle - (up ? height : 0)).toFixed(1));
      });
    }
  }
  function move() {
    const site = at(choice.value), threshold = score();
    const x = (told.left + told.width * slider.value / 1000).toFixed(1);
    line.setAttribute("points", `${x},${told.top} ${x},${told.bottom}`);
    $(".value", box).textContent = Number(threshold.toPrecision(4));
    const stopped = above(site.good, threshold);
    const passed = site.bad.length - above(site.bad, threshold);
    $(".rejects", box).textContent = rate(stopped, site.good.length, told.intervals);
    $(".escapes", box).textContent = rate(passed, site.bad.length, told.intervals);
  }
  function reset() {
    calibrated = at(choice.value).threshold;
    const known = calibrated !== null;  /* else no line and no numbers until the slider moves */
    slider.value = known ? Math.max(0, Math.round(1000 * place(calibrated))) : 500;
    $("button", box).hidden = !known;
    line.setAttribute("display", known ? "inline" : "none");
    draw();
    if (known) move();
    else for (const name of [".value", ".rejects", ".escapes"])
      $(name, box).textContent = "move the slider";
  }
  slider.addEventListener("input", () => {
    calibrated = null; line.setAttribute("display", "inline"); move();
  });
  choice.addEventListener("change", reset);
  $("button", box).addEventListener("click", reset);
  reset();
});

/* Paper has no clicks: everything that can open is open there. */
addEventListener("beforeprint", () => all("details").forEach(d => { d.open = true; }));
"""
