/* Elements by hand: whatever is shown goes in as text or an attribute, never as markup. */

const SVG = "http://www.w3.org/2000/svg";

export const $ = (query, at = document) => at.querySelector(query);
export const all = (query, at = document) => [...at.querySelectorAll(query)];

/* An element: `on` holds listeners, `text` its words; every other entry is an attribute. */
export function make(tag, given = {}, ...children) {
  return dressed(document.createElement(tag), given, children);
}

export function svg(tag, given = {}, ...children) {
  return dressed(document.createElementNS(SVG, tag), given, children);
}

function dressed(element, given, children) {
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name === "on") {
      for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    } else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/* One of the shapes that index.html holds. */
export function shape(name, kind = "icon") {
  return svg("svg", { class: kind, "aria-hidden": "true" }, svg("use", { href: `#shape-${name}` }));
}

/* A short message in a box; without words the box goes. */
export function notice(box, words, bad = false) {
  box.hidden = !words;
  box.classList.toggle("bad", bad);
  box.textContent = words || "";
}

/* What screen readers say at once. */
export function announce(words) {
  $("#announced").textContent = words;
}

/* What a person chose, if the browser keeps it. */
export const kept = {
  get(name, otherwise = "") {
    try {
      return localStorage.getItem(`fedad.${name}`) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`fedad.${name}`, value);
    } catch {
      /* storage is off */
    }
  },
};
