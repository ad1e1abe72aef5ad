// The graph of a run, or of a config that makes runs: a card a step, and arrows from what it needs.
import { html, useMemo } from "../html.js";
import { href, route } from "../router.js";
import { t } from "../text.js";
import { Glyph } from "./glyph.js";
import { layers, WIDTH } from "./layers.js";
import { SmallGrid, smallGridHigh } from "./partgrid.js";
import { nameOf, STEP_GLYPHS, stepTook, stepWord, tellOf } from "./steps.js";

const PLAIN = 62;
const DECLARED = 46; // what a config says has no state and no time
const highOf = (step) => (step.state ? PLAIN + smallGridHigh(step) : DECLARED);
const idle = (step) => step.state === "skipped";

/** Arrows of one kind as one path, and their heads as another. */
function Arrows({ list, kind }) {
  if (!list.length) return null;
  const heads = list.filter((one) => one.ends).map(({ x, y }) => `M${x - 6} ${y - 3.5}L${x} ${y}L${x - 6} ${y + 3.5}Z`);
  return html`<g class="arrows ${kind}"><path d=${list.map((one) => one.d).join("")} /><path class="head" d=${heads.join("")} /></g>`;
}

function Card({ step, place, chosen, critical }) {
  const query = { ...route.value.query, step: step.id, parts: "", start: "", show: "" };
  const told = tellOf(step);
  const took = stepTook(step);
  return html`<li class="node n-${step.state ?? "declared"} ${critical ? "critical" : ""}" style=${{ insetInlineStart: `${place.x}px`, top: `${place.y}px`, width: `${WIDTH}px`, minHeight: `${place.high}px` }}>
    <a href=${href(route.value.parts, query)} aria-current=${chosen ? "true" : undefined} title=${`${nameOf(step)} · ${[step.state && stepWord(step), took, ...told].filter(Boolean).join(" · ")}`}>
      <b>${step.state && html`<${Glyph} kind=${STEP_GLYPHS[step.state] ?? "active"} />`}<span class="clip" dir="auto">${nameOf(step)}</span><span class="off">, </span></b>
      ${step.state && html`<span class="how"><span class="word">${stepWord(step)}</span>${took && html` <span class="num">${took}</span>`}</span>`}
      ${told.length > 0 && html`<small dir="auto">${told.join(", ")}</small>`}
      ${step.needs.length > 0 && html`<small class="after">${t("needsSteps", { names: step.needs.join(", ") })}</small>`}
      <${SmallGrid} step=${step} />
    </a></li>`;
}

/** `steps` are those of the API, or {id, level, needs} with what a config says of them; `chosen` is the id of the one that is looked at, `critical` those of the path that took longest. */
export function Graph({ steps, chosen, critical = new Set(), label }) {
  const shape = steps.map((one) => [one.id, one.level, one.needs, highOf(one)].join()).join(";");
  const { nodes, arrows, width, height } = useMemo(() => layers(steps, highOf), [shape]);
  const byId = new Map(steps.map((one) => [one.id, one]));
  const kindOf = ({ from, targets }) => {
    if (critical.has(from) && targets.some((one) => critical.has(one) && critical.next?.get(from) === one)) return "critical";
    return targets.every((one) => idle(byId.get(one))) || idle(byId.get(from)) ? "idle" : "plain";
  };
  const byKind = Object.groupBy(arrows, kindOf);
  const levels = Object.values(Object.groupBy(steps, (one) => one.level));
  return html`<div class="graph" style=${{ "--high": `${height}px`, "--wide": `${width}px` }} role="group" aria-label=${label}>
    <svg width=${width} height=${height} aria-hidden="true">${["plain", "idle", "critical"].map((kind) => html`<${Arrows} key=${kind} kind=${kind} list=${byKind[kind] ?? []} />`)}</svg>
    <ol>${levels.map((level, at) => html`<li key=${at} class="level"><span class="levelname">${t("levelN", { n: at })}</span>
      <ul>${level.map((one) => html`<${Card} key=${one.id} step=${one} place=${nodes.get(one.id)} chosen=${chosen === one.id} critical=${critical.has(one.id)} />`)}</ul></li>`)}</ol>
  </div>`;
}
