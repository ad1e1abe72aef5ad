// Small parts of all pages.
import { html, useEffect, useRef, useState } from "../html.js";
import { href } from "../router.js";
import { clock, day, duration, now, offset, relative, when, zoneOf } from "../time.js";
import { t } from "../text.js";

export const Title = ({ children }) => {
  useEffect(() => {
    document.title = `${[children].flat(9).filter((one) => typeof one === "string").join("")} · dsched`;
  });
  return html`<h1 tabindex="-1">${children}</h1>`;
};

export const ConfigLink = ({ id }) => html`<a class="name" href=${href(["configs", id])} dir="auto">${id}</a>`;
export const TaskLink = ({ id, children, query }) =>
  html`<a href=${href(["tasks", id], query)} dir="auto">${children ?? id}</a>`;
export const WorkerLink = ({ id }) =>
  id ? html`<a class="quiet" href=${href(["workers"], { worker: id })} title=${id}>${id}</a>` : "";

/** An instant, with the whole of it for who points at it. */
export function At({ at, own, clockOnly }) {
  if (!at) return "";
  const zone = zoneOf(own);
  const full = `${day(at, zone)} ${clock(at, zone)} ${zone} (${offset(at, zone)})`;
  return html`<time datetime=${at} title=${full}>${clockOnly ? clock(at, zone) : when(at, zone)}</time>`;
}

export const Ago = ({ at, short }) => (at ? html`<span class="dim">${relative(at, short)}</span>` : "");
export const Since = ({ at }) => (at ? duration(Math.max(0, now.value - Date.parse(at))) : "");
export const Took = ({ ms }) => html`<span class="num">${duration(ms)}</span>`;

export function Copy({ text, label, plain }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea"); // without TLS there is no clipboard
      area.value = text;
      (document.querySelector("dialog[open]") ?? document.body).append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    setDone(true);
    setTimeout(() => setDone(false), 2000);
  };
  return html`<button type="button" class=${plain ? "link" : "small"} onClick=${copy}>
    ${done ? t("copied") : (label ?? t("copy"))}
  </button>`;
}

/** A text for a shell, quoted where it has to be. */
export const shell = (text) =>
  /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;

export function Trouble({ error, reload }) {
  const said = {
    unreachable: t("unreachable"),
    not_found: t("notFound"),
  }[error.code];
  return html`<div class="trouble" role="alert">
    <p>${said ?? t("refused", { detail: error.detail || error.code })}</p>
    ${reload && html`<button type="button" class="small" onClick=${reload}>${t("retryLoad")}</button>`}
  </div>`;
}

/** What a page shows of a resource: its trouble, that it loads, or what it is. */
export function Loaded({ from, children }) {
  if (from.data === null && from.error) return html`<${Trouble} error=${from.error} reload=${from.reload} />`;
  if (from.data === null) return html`<p class="dim pad" aria-busy="true">${t("loading")}</p>`;
  return html`${from.error && html`<${Trouble} error=${from.error} reload=${from.reload} />`}${children(from.data)}`;
}

export const Chip = ({ name, children }) =>
  html`<span class="chip"><span class="dim">${name}</span> <b>${children}</b></span>`;
export const Key = ({ children }) => html`<kbd aria-hidden="true">${children}</kbd>`;

/** Several choices of which one is on; `options` are [value, content]. */
export const Choice = ({ label, value, options, onChange }) =>
  html`<div class="choice" role="group" aria-label=${label}>
    ${options.map(
      ([one, content]) =>
        html`<button type="button" key=${one} aria-pressed=${one === value} onClick=${() => onChange(one)}>${content}</button>`,
    )}
  </div>`;

/** The rows of a table by keyboard: j, k, Enter. */
export function useRows() {
  const table = useRef(null);
  useEffect(() => {
    const act = (event) => {
      const rows = [...(table.current?.querySelectorAll("tr[data-row]") ?? [])];
      if (!rows.length) return;
      const at = rows.indexOf(document.activeElement?.closest?.("tr[data-row]"));
      const to = event.detail === "j" ? Math.min(at + 1, rows.length - 1) : Math.max(at - 1, 0);
      rows[to].querySelector("a, button")?.focus();
      rows[to].scrollIntoView({ block: "nearest" });
    };
    addEventListener("dsched:row", act);
    return () => removeEventListener("dsched:row", act);
  }, []);
  return table;
}
