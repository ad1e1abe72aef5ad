// A view is a URL: the path below /ui/ and its query.
import { UI } from "./api.js";
import { signal } from "./html.js";

const read = () => ({
  parts: location.pathname.slice(UI.length).split("/").filter(Boolean).map(decodeURIComponent),
  query: Object.fromEntries(new URLSearchParams(location.search)),
});

export const route = signal(read());
export const href = (parts, query = {}) => {
  const kept = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(kept).toString();
  return UI + parts.map(encodeURIComponent).join("/") + (text ? `?${text}` : "");
};

export function go(to, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", to);
  route.value = read();
  if (!replace) scrollTo(0, 0);
}

/** Change some of the query, without a new entry in the history. */
export const ask = (query) =>
  go(href(route.value.parts, { ...route.value.query, ...query }), { replace: true });

addEventListener("popstate", () => {
  route.value = read();
});
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
  if (!link || !plain || link.target || link.origin !== location.origin) return;
  if (!link.pathname.startsWith(UI) || link.hasAttribute("download")) return;
  event.preventDefault();
  go(link.pathname + link.search);
});
