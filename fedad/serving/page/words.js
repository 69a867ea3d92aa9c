/* Words and numbers in the chosen language. */

import { all, kept } from "./dom.js";

export const LANGUAGES = ["en", "de", "fr"];
export const NONE = "\u2013"; // in place of a number

let tables = {};
let language = "en";
let plural = new Intl.PluralRules("en");

export async function loadWords() {
  tables = await (await fetch("page/strings.json")).json();
  const wished = [kept.get("language"), ...navigator.languages.map((one) => one.slice(0, 2))];
  speak(wished.find((one) => LANGUAGES.includes(one)) || "en");
}

export function speak(wished) {
  language = LANGUAGES.includes(wished) ? wished : "en";
  plural = new Intl.PluralRules(language);
  document.documentElement.lang = language;
  localise(document);
}

export const spoken = () => language;

/* The words of a key. With `n`, `key.one` or `key.other` where the key itself has none. */
export function say(key, given = {}) {
  const table = tables[language] || {};
  const form =
    table[key] ??
    table[`${key}.${plural.select(Number(given.n ?? 0))}`] ??
    table[`${key}.other`] ??
    key;
  return form.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = given[name];
    return value === undefined ? whole : typeof value === "number" ? count(value) : value;
  });
}

/* Fill in every element that names its words. */
export function localise(root) {
  for (const one of all("[data-text]", root)) one.textContent = say(one.dataset.text);
  for (const one of all("[data-label]", root))
    one.setAttribute("aria-label", say(one.dataset.label));
  for (const one of all("[data-title]", root)) one.title = say(one.dataset.title);
}

/* A score; the server has a word for what is infinite and null for what is not known. */
export function number(value, digits = 4) {
  if (value === null || value === undefined) return NONE;
  if (typeof value === "string") return value === "inf" ? "\u221e" : value;
  return value.toLocaleString(language, { maximumSignificantDigits: digits });
}

export const count = (value) => value.toLocaleString(language);

export function percent(rate) {
  if (rate === null || rate === undefined) return NONE;
  const form = { style: "percent", maximumSignificantDigits: 3 };
  return rate.toLocaleString(language, form);
}

/* A time of today as a time, any other with its day. */
export function when(iso, whole = false) {
  const at = new Date(iso);
  if (!iso || Number.isNaN(at.getTime())) return NONE;
  const today = at.toDateString() === new Date().toDateString();
  const form = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
  if (!today || whole) Object.assign(form, { year: "numeric", month: "short", day: "numeric" });
  return at.toLocaleString(language, form);
}

/* A day of the server's, which are UTC. */
export function dayOf(iso) {
  const form = { year: "numeric", month: "short", day: "numeric", timeZone: "UTC" };
  return new Date(`${iso}T00:00:00Z`).toLocaleDateString(language, form);
}

export const short = (digest) => (digest || "").slice(0, 16);

/* How many good images a rate takes: n of them can promise 1 / (n + 1) at best. */
export const needed = (rate) => Math.ceil(1 / rate - 1e-9) - 1;
export const best = (images) => 1 / (images + 1);
