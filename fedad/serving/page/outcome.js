/* A change of the model, and what became of it. */

import { notice } from "./dom.js";
import { allReasons } from "./reasons.js";
import { say, short } from "./words.js";

/* What a new model turned out to be: it judges, or it waits and why. */
export function outcome(told) {
  if (told.accepted) return say("models.judges", { model: short(told.model) });
  return say("models.waits", { model: short(told.model), why: allReasons(told) });
}

/* Make a new model, and say what became of it; false where none was made. */
export async function settle(button, box, act) {
  button.disabled = true;
  notice(box, say("threshold.working"));
  try {
    const told = await act();
    document.dispatchEvent(new Event("models-changed"));
    notice(box, outcome(told), !told.accepted);
    return true;
  } catch (error) {
    notice(box, error.message, true);
    button.disabled = false;
    return false;
  }
}
