/* Why a model waits, in the chosen language: the gate's sentences are English (models/gate.py). */

import { say } from "./words.js";

const FORMS = [
  {
    key: "gate.stopped",
    form: /^(.+): (\d+) of (\d+) good parts are stopped \((\d+)%, surely above (\d+)%\), such as (.*)$/s,
    names: ["product", "found", "of", "share", "most", "names"],
  },
  {
    key: "gate.unjudged",
    form: /^(.+): the new model has no threshold of it, and the current one has$/s,
    names: ["product"],
  },
  {
    key: "gate.lost",
    form: /^(.+): (\d+) of (\d+) own defects that were found are lost, such as (.*)$/s,
    names: ["product", "lost", "of", "names"],
  },
];

/* A reason in the chosen language; one of another form as it came. */
export function reason(text) {
  for (const { key, form, names } of FORMS) {
    const found = form.exec(text);
    if (found) return say(key, Object.fromEntries(names.map((name, n) => [name, found[n + 1]])));
  }
  return text;
}

/* All that an answer names, on one line. */
export const allReasons = (told) => (told.reasons || []).map(reason).join("; ");
