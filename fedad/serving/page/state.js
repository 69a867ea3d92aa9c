/* What the page knows, and who wants to hear of it. Events: model, list, shown, words, view. */

const hub = new EventTarget();

export const state = {
  model: null, // the answer of /v1/model
  why: "", // why there is none
  list: [], // the last inspections, newest first
  shown: null, // the one that is looked at
  following: true, // whether the newest one is shown as it comes
  unseen: 0, // how many came while another was looked at
};

export const tell = (what) => hub.dispatchEvent(new Event(what));
export const hear = (what, act) => what.split(" ").forEach((one) => hub.addEventListener(one, act));

export function show(one, { follow = state.following } = {}) {
  state.shown = one;
  state.following = follow;
  if (follow || one?.id === state.list[0]?.id) state.unseen = 0;
  tell("shown");
}

/* What is known of a product, by the model that judges now. */
export const known = (name) => state.model?.products?.[name] || null;

export const products = () => Object.keys(state.model?.products || {}).sort();

/* Pictures that were dropped here, in full size: id -> object URL of the file. */
const originals = new Map();
export function keepOriginal(id, file) {
  originals.set(id, URL.createObjectURL(file));
  if (originals.size <= 24) return;
  const [oldest, url] = originals.entries().next().value;
  URL.revokeObjectURL(url);
  originals.delete(oldest);
}
export const originalOf = (id) => originals.get(id);
