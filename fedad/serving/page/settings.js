/* Language, theme, the operator's sign, keys, the token. */

import { $, kept } from "./dom.js";
import { speak, spoken } from "./words.js";
import { tell } from "./state.js";
import { hasToken, onLocked, setToken } from "./server.js";
import { askToken } from "./dialogs.js";

export function setTheme(wished) {
  if (wished === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = wished;
  kept.set("theme", wished);
}

export const keysAreOn = () => $("#keys").checked;

async function enterToken(wrong = false) {
  const given = await askToken(wrong);
  if (given) setToken(given);
  $("#token-forget").hidden = !hasToken();
  return given;
}

export function startSettings() {
  const [language, theme, by, keys] = ["#language", "#theme", "#by", "#keys"].map((id) => $(id));
  language.value = spoken();
  language.addEventListener("change", () => {
    kept.set("language", language.value);
    speak(language.value);
    tell("words");
  });
  theme.value = kept.get("theme", "auto");
  theme.addEventListener("change", () => setTheme(theme.value));
  by.value = kept.get("by");
  by.addEventListener("input", () => kept.set("by", by.value.trim()));
  keys.checked = kept.get("keys", "on") !== "off";
  keys.addEventListener("change", () => kept.set("keys", keys.checked ? "on" : "off"));
  onLocked(enterToken);
  $("#token-set").addEventListener("click", () => enterToken());
  $("#token-forget").addEventListener("click", () => {
    setToken("");
    $("#token-forget").hidden = true;
  });
  $("#token-forget").hidden = !hasToken();
}
