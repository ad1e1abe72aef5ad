// A config that makes runs: its graph as it is declared, and what became of each step in its last runs.
import { path } from "../api.js";
import { html } from "../html.js";
import { href, route } from "../router.js";
import { clock, duration, when, zoneOf } from "../time.js";
import { t } from "../text.js";
import { Loaded } from "../parts/basics.js";
import { Graph } from "../parts/graph.js";
import { Glyph, STATES, statusWord } from "../parts/glyph.js";
import { levelsOf } from "../parts/layers.js";
import { useResource } from "../parts/resource.js";
import { nameOf, STEP_GLYPHS, stepWord, stepTook } from "../parts/steps.js";
import { Value } from "../parts/value.js";

const RUNS = 25;
const READ_MS = 60_000; // each run costs the store a call and more: they are read anew seldom

/** The steps of a config's entry as a graph takes them. */
function declared(steps) {
  const needsOf = Object.fromEntries(Object.entries(steps).map(([id, one]) => [id, one.needs ?? []]));
  const levels = levelsOf(needsOf);
  const parts = (one) => (one.shards === "each_worker" ? t("eachWorker") : one.shards !== undefined ? t("shardsN", { n: one.shards }) : one.for_each !== undefined ? t("ofAList") : "");
  return Object.entries(steps)
    .map(([id, one]) => ({ id, level: levels.get(id), needs: needsOf[id], when: one.when, allow_failure: one.allow_failure, parts: parts(one), executor: one.executor }))
    .sort((a, b) => a.level - b.level);
}

/** Runs as columns, the newest at the right; steps as rows: how each ended, and a way to it. */
function RunGrid({ runs, steps }) {
  const shown = runs.toReversed();
  const zone = zoneOf();
  const found = new Map(shown.map((run) => [run.id, new Map(run.steps.map((one) => [one.id, one]))]));
  const said = (one) => [nameOf(one), stepWord(one), stepTook(one), one.failed && one.total > 1 ? t("failedN", { n: one.failed }) : "", one.reason].filter(Boolean).join(" · ");
  return html`<div class="rungridbox" tabindex="0" role="group" aria-labelledby="runs-title"><table class="rungrid" aria-labelledby="runs-title"><thead><tr><th scope="col">${t("step")}</th>${shown.map((run) => {
    const at = `${when(run.task.scheduled_time, zone)} · ${statusWord(run.task.status)}`;
    return html`<th key=${run.id} scope="col"><a class="cell" href=${href(["tasks", run.id])} title=${at} aria-label=${`${t("run")} ${at}`}><${Glyph} kind=${STATES[run.task.status] ?? "active"} /></a></th>`;
  })}</tr></thead>
  <tbody>${steps.map((step) => html`<tr key=${step.id}><th scope="row" class="clip" dir="auto">${nameOf(step)}</th>${shown.map((run) => {
    const one = found.get(run.id).get(step.id);
    if (!one) return html`<td key=${run.id}></td>`;
    return html`<td key=${run.id}><a class="cell k-${one.state}" href=${href(["tasks", run.id], { step: one.id })} title=${said(one)} aria-label=${`${clock(run.task.scheduled_time, zone)} ${said(one)}`}>${one.state !== "success" && html`<${Glyph} kind=${STEP_GLYPHS[one.state] ?? "active"} />`}</a></td>`;
  })}</tr>`)}</tbody></table></div>`;
}

function Last({ id, steps }) {
  const fits = (event) => event.kind === "run_ended" && event.items?.some((one) => one.task?.startsWith(`${id}@`));
  const found = useResource(path(["configs", id, "runs"], { limit: RUNS }), { fits, everyMs: READ_MS });
  return html`<section class="lastruns"><h2 id="runs-title">${t("lastRuns")} ${found.data?.items.length > 0 && html`<span class="dim">${t("lastRunsN", { n: found.data.items.length })}</span>`}</h2>
    <${Loaded} from=${found}>${({ items }) => items.length === 0 ? html`<p class="dim pad">${t("noRuns")}</p>` : html`<${RunGrid} runs=${items} steps=${steps} />
      <p class="dim">${t("longestRun", { text: duration(Math.max(...items.map((one) => (one.task.end_time ? Date.parse(one.task.end_time) - Date.parse(one.task.start_time) : 0)))) })}</p>`}<//></section>`;
}

/** `config` as the API tells it; it has steps or shards. */
export function Workflow({ config }) {
  const entry = config.spec.steps ?? {};
  const steps = config.spec.steps ? declared(entry) : [{ id: "", level: 0, needs: [] }];
  const chosen = entry[route.value.query.step] ? route.value.query.step : steps[0].id;
  return html`<div class="split runsplit wholegraph"><div class="runside">
      ${config.spec.steps && html`<section class="graphside"><h2>${t("graph")} <span class="dim">${t("stepsLevels", { n: steps.length, levels: steps.at(-1).level + 1 })}</span></h2>
        <div class="graphbox"><${Graph} steps=${steps} chosen=${chosen} label=${t("graph")} /></div></section>`}
      <div class="graphside"><${Last} id=${config.id} steps=${steps} /></div></div>
    <aside>${config.spec.steps ? html`<${Value} key=${chosen} title=${t("stepNamed", { name: chosen })} value=${entry[chosen]} name=${`${config.id}-${chosen}`} />` : html`<${Value} title=${t("definition")} value=${config.spec} name=${config.id} />`}
      ${config.payload_hidden && html`<p class="dim">${t("payloadHidden")}</p>`}</aside></div>`;
}
