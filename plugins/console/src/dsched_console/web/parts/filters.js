// Filters of a list of tasks: chips, which the address keeps and the API answers for.
import { html, useRef, useState } from "../html.js";
import { t } from "../text.js";
import { Icon } from "./icons.js";

const SPAN = /^(\d{1,4})(m|h|d)$/;
const UNIT_MS = { m: 60_000, h: 3_600_000, d: 86_400_000 };
/** The filters there are, in the order of their chips. */
export const FILTERS = ["config", "label", "owner", "since", "until"];
const OFTEN = ["since:1h", "since:24h", "since:7d", "owner:", "label:"];

/** An instant that is said as one, or as how long ago; null where it is neither. To the minute, so that what is asked stays the same. */
export function instantOf(text, nowMs) {
  const ago = SPAN.exec(text);
  const ms = ago ? Math.floor((nowMs - Number(ago[1]) * UNIT_MS[ago[2]]) / 60_000) * 60_000 : Date.parse(text);
  return Number.isFinite(ms) ? new Date(ms).toISOString() : null;
}

/** What is wrong with a filter: the key of a text, or null. */
function wrong(name, value) {
  if (!FILTERS.includes(name)) return "filterUnknown";
  if (!value) return "filterEmpty";
  if (name === "label" && !/^[^=]+=/.test(value)) return "filterLabel";
  if ((name === "since" || name === "until") && instantOf(value, Date.now()) === null) return "filterInstant";
  return null;
}

/** `given` are the filters that are on, by name; `configs` are names to suggest. `onChange` gets {name: value}, an empty value takes one away. */
export function Filters({ given, configs, onChange }) {
  const [refused, setRefused] = useState(null);
  const field = useRef(null);
  const add = (event) => {
    event.preventDefault();
    const text = field.current.value.trim();
    if (!text) return;
    const at = text.indexOf(":");
    // A word alone is a config: that is what is asked for most.
    const [name, value] = at < 0 ? ["config", text] : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
    const why = wrong(name, value);
    setRefused(why);
    if (why) return;
    field.current.value = "";
    onChange({ [name]: value });
  };
  const suggested = [...OFTEN, ...configs.map((one) => `config:${one}`)];
  return html`<form class="tasksfilter" onSubmit=${add}>
    ${FILTERS.filter((one) => given[one]).map((one) => html`<span key=${one} class="chip filterchip"><span class="dim">${one}</span> <b dir="auto">${given[one]}</b>
      <button type="button" class="tool" aria-label=${t("filterDrop", { text: `${one}:${given[one]}` })} onClick=${() => onChange({ [one]: "" })}><${Icon} name="close" /></button></span>`)}
    <input ref=${field} list="filters" autocomplete="off" aria-label=${t("filterAdd")} placeholder=${t("filterHint")} aria-invalid=${refused !== null} aria-describedby=${refused ? "filter-wrong" : undefined} onInput=${() => setRefused(null)} />
    <datalist id="filters">${suggested.map((one) => html`<option key=${one} value=${one}></option>`)}</datalist>
    ${refused && html`<span id="filter-wrong" class="bad" role="alert">${t(refused)}</span>`}
  </form>`;
}
