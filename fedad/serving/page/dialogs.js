/* Questions that wait for an answer, each as the browser's own modal dialog. */

import { $, make } from "./dom.js";
import { say } from "./words.js";

/* Yes or no, after `lines` were read. */
export function ask(title, lines, yes) {
  const dialog = $("#ask");
  $("#ask-title").textContent = title;
  $("#ask-words").replaceChildren(...lines.map((line) => make("p", { text: line })));
  $("#ask-yes").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true });
  });
}

/* The token that the server was started with; empty if nobody has it. */
export function askToken(wrong) {
  const dialog = $("#locked");
  $("#locked-wrong").textContent = wrong ? say("token.wrong") : "";
  $("#token").value = "";
  $("#locked-no").onclick = () => dialog.close("no");
  dialog.returnValue = "";
  dialog.showModal();
  $("#token").focus();
  return new Promise((done) => {
    dialog.addEventListener(
      "close",
      () => {
        done(dialog.returnValue === "ok" ? $("#token").value.trim() : "");
      },
      { once: true },
    );
  });
}
