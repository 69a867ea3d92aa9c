/* Questions to the server: a token where it wants one, pictures as blobs, errors as one line. */

import { say } from "./words.js";

const KEY = "fedad.token";
const PICTURES = 240; // kept in memory

export class Refused extends Error {
  constructor(status, words, wait = 0) {
    super(words);
    this.status = status;
    this.wait = wait; // seconds until it is worth another try
  }
}

let token = "";
try {
  token = sessionStorage.getItem(KEY) || "";
} catch {
  /* storage is off */
}
let unlock = async () => ""; // asks a person for the token
let asked = null; // one question for all calls that wait
let declined = false; // somebody closed the question: it is not asked again by itself

export const hasToken = () => token !== "";
export const onLocked = (act) => {
  unlock = act;
};

export function setToken(given) {
  token = given;
  declined = false;
  try {
    if (given) sessionStorage.setItem(KEY, given);
    else sessionStorage.removeItem(KEY);
  } catch {
    /* storage is off: it holds until the page is left */
  }
}

async function reply(path, given = {}) {
  const used = token;
  const headers = { ...given.headers, ...(used ? { Authorization: `Bearer ${used}` } : {}) };
  let answer;
  try {
    answer = await fetch(path, { ...given, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, say("error.away"));
  }
  if (answer.status === 401) {
    if (used !== token) return reply(path, given); // another call got it meanwhile
    if (declined) throw new Refused(401, say("error.locked"));
    asked ??= unlock(used !== "").finally(() => {
      asked = null;
    });
    const fresh = await asked;
    if (fresh) return reply(path, given);
    declined = true;
  }
  if (!answer.ok) throw await refused(answer);
  return answer;
}

async function refused(answer) {
  let words = "";
  try {
    const told = await answer.json();
    words =
      told.error || told.status || (Array.isArray(told.detail) ? told.detail[0]?.msg : told.detail);
  } catch {
    /* no JSON: the status says it */
  }
  const wait = Number(answer.headers.get("Retry-After")) || 0;
  return new Refused(answer.status, String(words || `${answer.status} ${answer.statusText}`), wait);
}

export async function get(path) {
  return (await reply(path, { cache: "no-store" })).json();
}

export async function post(path, value = {}) {
  const body = JSON.stringify(value);
  return (
    await reply(path, { method: "POST", headers: { "Content-Type": "application/json" }, body })
  ).json();
}

export async function remove(path) {
  const answer = await reply(path, { method: "DELETE" });
  return answer.status === 204 ? {} : answer.json();
}

/* A file as it is; the server looks at its bytes, not at what it is called. */
export async function send(method, path, file, signal) {
  const type = file.type.startsWith("image/") ? file.type : "image/x-unknown";
  return (
    await reply(path, { method, headers: { "Content-Type": type }, body: file, signal })
  ).json();
}

const pictures = new Map(); // URL -> promise of an object URL, oldest first

export function picture(url) {
  if (pictures.has(url)) return pictures.get(url);
  const made = reply(url)
    .then((answer) => answer.blob())
    .then((blob) => URL.createObjectURL(blob));
  pictures.set(url, made);
  made.catch(() => pictures.delete(url));
  if (pictures.size > PICTURES) {
    const [oldest, gone] = pictures.entries().next().value;
    pictures.delete(oldest);
    gone.then(
      (one) => URL.revokeObjectURL(one),
      () => {},
    );
  }
  return made;
}

/* Put a picture into an <img>; false where the server has none any more. */
export async function showPicture(image, url) {
  image.dataset.wanted = url || "";
  if (!url) {
    image.removeAttribute("src");
    return false;
  }
  try {
    const made = await picture(url);
    if (image.dataset.wanted !== url) return true; // another was asked for meanwhile
    image.src = made;
    await image.decode().catch(() => {});
    return true;
  } catch {
    if (image.dataset.wanted === url) image.removeAttribute("src");
    return false;
  }
}
