// The parts of a step: a cell each, in the order of their index.
import { html, useRef, useState } from "../html.js";
import { href, route } from "../router.js";
import { count } from "../time.js";
import { t } from "../text.js";
import { Glyph } from "./glyph.js";
import { countsOf, MEMBER_GLYPHS, MEMBER_STATES, memberWord, stepWord } from "./steps.js";

const SMALL_MOST = 66;
const SMALL_ROW = 11;
const SMALL = 10; // px from one cell to the next

/** How much higher a node is for its parts, in px. */
export function smallGridHigh(step) {
  if (!(step.total > 1)) return 0;
  return step.total > SMALL_MOST ? 22 : Math.ceil(step.total / SMALL_ROW) * SMALL + 12;
}

const stateOf = (step, members) => (index) => members.get(index)?.state ?? "unborn";
const byIndex = (step) => new Map(step.members.map((one) => [one.index ?? 0, one]));

/** The parts in a node: cells, or where there are many how they are shared out. */
export function SmallGrid({ step }) {
  if (!(step.total > 1) || !step.members) return null;
  const high = smallGridHigh(step) - 12;
  if (step.total > SMALL_MOST) {
    const counts = countsOf(step);
    let x = 0;
    return html`<svg class="smallgrid" width="110" height="8" viewBox="0 0 110 8" aria-hidden="true">${["failed", "cancelled", "skipped", "success", "live", "unborn"].map((state) => {
      const wide = counts[state] ? Math.max(2, (110 * counts[state]) / step.total) : 0;
      const from = x;
      x += wide;
      return wide > 0 && html`<rect key=${state} class="p-${state}" x=${from} width=${wide} height="8" />`;
    })}</svg>`;
  }
  const members = byIndex(step);
  const state = stateOf(step, members);
  return html`<svg class="smallgrid" width="110" height=${high} aria-hidden="true">${Array.from({ length: step.total }, (_, index) => {
    const x = (index % SMALL_ROW) * SMALL;
    const y = Math.floor(index / SMALL_ROW) * SMALL;
    return html`<g key=${index}><rect class="p-${state(index)}" x=${x + 0.5} y=${y + 0.5} width="7" height="7" rx="1.5" />
      ${state(index) === "failed" && html`<path class="cross" d="M${x + 2.5} ${y + 2.5}l3 3m0-3l-3 3" />`}
      ${state(index) !== "failed" && members.get(index)?.attempts > 1 && html`<path class="again" d="M${x + 4} ${y + 2.2}l2 3.6h-4z" />`}</g>`;
  })}</svg>`;
}

/** Which parts are shown: all, or those of one state; each says how many there are. */
export function PartFilter({ step, value, onChange }) {
  const counts = countsOf(step);
  const some = MEMBER_STATES.filter((one) => counts[one] || one === value);
  return html`<div class="choice" role="group" aria-label=${t("state")}>${[["", step.total], ...some.map((one) => [one, counts[one]])].map(([state, n]) => html`<button type="button" key=${state} aria-pressed=${state === value} onClick=${() => onChange(state)}>${state ? html`<${Glyph} kind=${MEMBER_GLYPHS[state]} /> <span class="word">${memberWord(state)}</span>` : t("all")} <span class="num">${count(n)}</span></button>`)}</div>`;
}

/** Where the focus goes from a cell: by rows and columns as they stand on the page. */
function onward(cells, from, key) {
  const at = cells.indexOf(from);
  if (key === "Home") return cells[0];
  if (key === "End") return cells.at(-1);
  if (key === "ArrowLeft" || key === "ArrowRight") return cells[at + (key === "ArrowLeft" ? -1 : 1)];
  const side = key === "ArrowUp" ? cells.slice(0, at).reverse() : cells.slice(at + 1);
  return side.find((one) => one.offsetTop !== from.offsetTop && Math.abs(one.offsetLeft - from.offsetLeft) < one.offsetWidth / 2);
}

/** All parts as cells: a click, or Enter, leads to the part's own page. The arrow keys go from cell to cell. */
export function PartGrid({ step, only }) {
  const box = useRef(null);
  const [current, setCurrent] = useState(null);
  const members = byIndex(step);
  const state = stateOf(step, members);
  const shown = Array.from({ length: step.total }, (_, index) => index).filter((index) => !only || state(index) === only);
  const first = shown.find((index) => members.has(index));
  const stop = members.has(current) && shown.includes(current) ? current : first;
  const move = (event) => {
    if (!["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) return;
    const to = onward([...box.current.querySelectorAll("a")], event.target.closest("a"), event.key);
    event.preventDefault();
    if (!to) return;
    setCurrent(Number(to.dataset.part));
    to.focus();
  };
  return html`<div class="parts" ref=${box} role="group" aria-label=${`${t("partGrid")}: ${stepWord(step)}`} onKeyDown=${move}>${shown.map((index) => {
    const one = members.get(index);
    const kind = state(index);
    const said = `${t("partN", { n: index })}${one?.worker ? `, ${one.worker}` : ""}: ${memberWord(kind)}${one?.attempts > 1 ? `, ${t("attemptN", { n: one.attempts })}` : ""}${one?.code && kind === "failed" ? `, ${one.code}` : ""}`;
    if (!one) return html`<span key=${index} class="cell k-unborn" title=${said}></span>`;
    return html`<a key=${index} class="cell k-${kind} ${one.attempts > 1 ? "again" : ""}" data-part=${index} tabindex=${index === stop ? 0 : -1} href=${href(["tasks", one.id])} title=${said} aria-label=${said}>${kind !== "success" && html`<${Glyph} kind=${MEMBER_GLYPHS[kind] ?? "active"} />`}</a>`;
  })}</div>`;
}
