// Light or dark: as the system says, unless the reader has chosen.
import { effect, signal } from "./html.js";

const KEY = "dsched.theme";
const system = matchMedia("(prefers-color-scheme: dark)");
export const theme = signal(localStorage.getItem(KEY) ?? (system.matches ? "dark" : "light"));
let chosen = localStorage.getItem(KEY) !== null;
system.addEventListener("change", () => {
  if (!chosen) theme.value = system.matches ? "dark" : "light";
});
effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

export function turn() {
  chosen = true;
  theme.value = theme.value === "dark" ? "light" : "dark";
  localStorage.setItem(KEY, theme.value);
}
