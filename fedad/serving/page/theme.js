"use strict";
/* Before anything is drawn: the theme that somebody chose, so that no white page flashes. */
try {
  const chosen = localStorage.getItem("fedad.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  /* storage is off: the system's theme */
}
