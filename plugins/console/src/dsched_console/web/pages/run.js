// A run of many tasks: its graph, the parts and logs of its steps, and the same as tables.
import { path } from "../api.js";
import { html, useEffect } from "../html.js";
import { ask, go, href, route } from "../router.js";
import { clock, duration, when, zoneOf } from "../time.js";
import { t } from "../text.js";
import { ActButton } from "../parts/acts.js";
import { At, Choice, Copy, Loaded, shell, TaskLink, Title } from "../parts/basics.js";
import { Bring } from "../parts/bring.js";
import { Graph } from "../parts/graph.js";
import { Glyph, State, statusWord, TaskState } from "../parts/glyph.js";
import { Lines } from "../parts/lines.js";
import { Members } from "../parts/members.js";
import { PartFilter, PartGrid } from "../parts/partgrid.js";
import { useResource } from "../parts/resource.js";
import { useNewsOf } from "../parts/runnews.js";
import { criticalPath, nameOf, retryOf, STEP_GLYPHS, stepTook, stepWord, tookOf } from "../parts/steps.js";
import { Value } from "../parts/value.js";
import { useWhy, Why } from "../parts/why.js";

const logs = async () => (await import("../parts/runlog.js")).RunLog;
const SHOWS = ["step", "members", "logs"];

/** Whether an event is about a run or its members. */
const about = (id) => (event) => event.items?.some((one) => one.task === id || one.run === id || one.task?.startsWith(`${id}~`));

/** The step that is looked at where the address names none: the one that needs a person, or works. */
function looked(steps) {
  const first = (state) => steps.find((one) => one.state === state);
  return first("failed") ?? first("running") ?? steps.find((one) => one.total > 1) ?? steps[0];
}

function RetrySentence({ task, steps }) {
  if (!["failed", "cancelled"].includes(task.status)) return null;
  const { again, kept } = retryOf(steps);
  const names = again.map((id) => nameOf({ id })).join(", ");
  return html`<p class="dim retrysays" dir="auto">${t("retryRuns", { n: again.length, names })} ${kept.length > 0 && t("retryKeeps", { n: kept.length })}</p>`;
}

function Head({ task, steps }) {
  const ended = Boolean(task.end_time);
  const failed = steps.find((one) => one.state === "failed" && !one.allow_failure);
  const ran = task.start_time && task.end_time ? Date.parse(task.end_time) - Date.parse(task.start_time) : null;
  const again = { after: (made) => go(href(["tasks", made.id])) };
  return html`<div class="head"><div>
      <p class="crumbs"><a href=${href(["tasks"])}>${t("tasks")}</a>${task.config_id && html` / <a href=${href(["configs", task.config_id])}><bdi>${task.config_id}</bdi></a>`}</p>
      <div class="inline"><${Title}>${task.config_id ? when(task.scheduled_time) : html`<bdi>${task.id}</bdi>`}<//><span class="tag">${t("run")}</span>
        <${TaskState} status=${task.status} soft>${failed && task.status === "failed" ? t("failedAt", { name: nameOf(failed) }) : undefined}<//>
        ${ran !== null && html`<span class="dim">${t("tookText", { text: duration(ran) })}</span>`}${task.reason && !(failed && task.status === "failed") && html`<span class="dim" dir="auto">${task.reason}</span>`}<code class="dim clip" dir="auto">${task.id}</code></div>
      <${RetrySentence} task=${task} steps=${steps} />
    </div><div class="acts">
      <${Copy} text=${`dsched task get ${shell(task.id)}`} label=${t("copyCommand")} plain />
      ${!ended && !task.cancel_requested && html`<${ActButton} kind="cancelRun" ids=${[task.id]} label=${t("cancelMore")} />`}
      ${!ended && task.cancel_requested && html`<${State} kind="skipped">${t("cancelAsked")}<//>`}
      ${ended && html`<${ActButton} kind="retry" ids=${[task.id]} label=${t("runAllAgain")} ...${again} />`}
      ${ended && task.status !== "success" && html`<${ActButton} kind="retryFailed" ids=${[task.id]} label=${t("retryFailedMore")} primary ...${again} />`}
    </div></div>`;
}

/** The path that took longest as a bar: what share of the run each of its steps was. */
function CriticalPath({ steps, critical }) {
  const found = [...critical].map((id) => steps.find((one) => one.id === id)).reverse();
  if (found.length < 2) return null;
  const start = Date.parse(found[0].start_time);
  const span = Math.max(1, Math.max(...found.map((one) => Date.parse(one.start_time) + tookOf(one))) - start);
  const zone = zoneOf();
  return html`<section class="longest" aria-labelledby="longest-title"><h2 id="longest-title">${t("criticalPath")} <span class="dim">${duration(span)}</span></h2>
    <ol>${found.map((one) => {
      const from = (100 * (Date.parse(one.start_time) - start)) / span;
      const share = (100 * tookOf(one)) / span;
      return html`<li key=${one.id} class="b-${one.state}" style=${{ insetInlineStart: `${from}%`, width: `${Math.max(0.4, share)}%` }} title=${`${nameOf(one)} · ${stepTook(one)}`}><span class="clip">${nameOf(one)} <span class="num">${Math.round(share)} %</span></span></li>`;
    })}</ol>
    <p class="ends" aria-hidden="true"><span>${clock(start, zone)}</span><span>${clock(start + span, zone)}</span></p></section>`;
}

/** The steps as a table, each with where in the run it was. */
function Steps({ task, steps, chosen }) {
  const begin = Date.parse(task.start_time ?? task.scheduled_time);
  const span = Math.max(1, ...steps.map((one) => (one.start_time ? Date.parse(one.start_time) + tookOf(one) - begin : 0)));
  return html`<section class="stepslist"><h2 id="steps-title">${t("steps")} <span class="dim">${t("sameAsTable")}</span></h2>
    <table class="rows small fixed" aria-labelledby="steps-title"><thead><tr><th>${t("step")}</th><th class="r w-took">${t("took")}</th><th class="w-when">${t("whenIn")}</th></tr></thead>
    <tbody>${steps.map((one) => {
      const from = one.start_time ? (100 * (Date.parse(one.start_time) - begin)) / span : 0;
      return html`<tr key=${one.id} data-row class=${one.id === chosen ? "chosen" : ""}><td class="main"><${Glyph} kind=${STEP_GLYPHS[one.state]} label=${stepWord(one)} /> <a href=${href(route.value.parts, { ...route.value.query, step: one.id, parts: "", start: "", show: "" })} dir="auto">${nameOf(one)}</a></td><td class="r num">${one.reason ? "–" : stepTook(one)}</td>
        <td><span class="ganttrow">${one.start_time && html`<i class="b-${one.state}" style=${{ insetInlineStart: `${Math.min(99, from)}%`, width: `${Math.max(1, (100 * tookOf(one)) / span)}%` }}></i>`}</span></td></tr>`;
    })}</tbody></table>
    ${steps.filter((one) => one.reason).map((one) => html`<p key=${one.id} class="leftout" dir="auto"><${Glyph} kind=${STEP_GLYPHS[one.state]} /> <b>${nameOf(one)}</b> <span class="dim">${stepWord(one)}: ${one.reason}</span></p>`)}
  </section>`;
}

/** What there is of one step: its parts, or the log of its one member. */
function Step({ run, step, codes }) {
  const only = route.value.query.parts ?? "";
  if (step.total > 1) {
    return html`<div class="stepbody"><div class="partstools"><${PartFilter} step=${step} value=${only} onChange=${(parts) => ask({ parts, start: "" })} /></div>
      <${PartGrid} step=${step} only=${only} />
      ${only !== "unborn" && html`<${Members} id=${run.id} step=${step.id} only=${only} codes=${codes} fits=${about(run.id)} />`}</div>`;
  }
  const [member] = step.members;
  if (!member) return html`<p class="dim stepbody">${step.reason ? `${stepWord(step)}: ${step.reason}` : t("notBorn")}</p>`;
  return html`<p class="stepbody memberline"><${TaskLink} id=${member.id}>${t("openTask")}<//>${member.code && html` <code>${member.code}</code>`}${member.taken_from && html` <span class="dim">${t("takenFrom")} <${TaskLink} id=${member.taken_from} /></span>`}</p>
    <${Lines} key=${member.id} id=${member.id} live=${member.state === "live"} />`;
}

function Below({ run, step, show, codes }) {
  return html`<div class="below-graph"><div class="belowhead"><h2>${nameOf(step)} <${State} kind=${STEP_GLYPHS[step.state]}>${stepWord(step)}<//> <span class="dim num">${stepTook(step)}</span></h2>
      <${Choice} label=${t("view")} value=${show} onChange=${(one) => ask({ show: one === "step" ? "" : one, start: "" })} options=${[["step", t("step")], ["members", t("allMembers")], ["logs", t("allLogs")]]} /></div>
    ${show === "members" && html`<div class="stepbody"><${Members} id=${run.id} codes=${codes} fits=${about(run.id)} /></div>`}
    ${show === "logs" && html`<${Bring} load=${logs} steps=${run.steps} />`}
    ${show === "step" && html`<${Step} run=${run} step=${step} codes=${codes} />`}</div>`;
}

/** `task` is the run, read in full. */
export function Run({ task: full }) {
  const found = useResource(path(["tasks", full.id, "run"]), { fits: about(full.id), everyMs: 2000 }); // what happens until then is told by the events
  const news = useNewsOf(full.id, found.data?.steps);
  useEffect(() => {
    if (full.end_time) found.reload();
  }, [full.end_time]);
  const why = useWhy("tasks", full.id);
  return html`<${Loaded} from=${found}>${(read) => {
    const run = { ...read, steps: news };
    const { steps } = run;
    const { step: wanted, show = "step" } = route.value.query;
    const step = steps.find((one) => one.id === wanted) ?? looked(steps);
    const critical = criticalPath(steps);
    const codes = new Map(steps.flatMap((one) => one.members.map((member) => [member.id, member.code])));
    // What was read last is right: the end of a run may be in one of them first.
    const task = full.end_time ? full : { ...full, ...run.task, spec: full.spec };
    return html`<${Head} task=${task} steps=${steps} />
      <div class="split runsplit"><div class="runside">
        ${steps.length > 1 && html`<section class="graphside"><h2>${t("graph")} <span class="dim">${t("stepsLevels", { n: steps.length, levels: steps.at(-1).level + 1 })}</span>
          <span class="legend end"><span><i class="stroke longestkey"></i> ${t("criticalPath")}</span><span><i class="stroke idlekey"></i> ${t("notTaken")}</span></span></h2>
          <div class="graphbox"><${Graph} steps=${steps} chosen=${step.id} critical=${critical} label=${t("graph")} /></div></section>
        <${CriticalPath} steps=${steps} critical=${critical} />`}
        <${Below} run=${run} step=${step} show=${SHOWS.includes(show) ? show : "step"} codes=${codes} />
      </div><aside>
        <${Steps} task=${task} steps=${steps} chosen=${step.id} />
        <${Why} from=${why} />
        ${full.params && Object.keys(full.params).length > 0 && html`<${Value} title=${t("params")} value=${full.params} name=${`${full.id}-params`} />`}
        ${full.payload_hidden && html`<p class="dim">${t("payloadHidden")}</p>`}
        ${task.end_time && html`<p class="dim">${statusWord(task.status)} <${At} at=${task.end_time} /></p>`}
      </aside></div>`;
  }}<//>`;
}
