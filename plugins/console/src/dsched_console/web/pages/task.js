// A task: its stops in time, its log, why, arguments and result.
import { path } from "../api.js";
import { html } from "../html.js";
import { go, href } from "../router.js";
import { clock, duration, now, when, zoneOf } from "../time.js";
import { t } from "../text.js";
import { ActButton, KeyAct } from "../parts/acts.js";
import { At, Copy, Loaded, shell, Title } from "../parts/basics.js";
import { Bring } from "../parts/bring.js";
import { Glyph, State, STATES, statusWord, TaskState } from "../parts/glyph.js";
import { Lines } from "../parts/lines.js";
import { useResource } from "../parts/resource.js";
import { Value } from "../parts/value.js";
import { useWhy, Why } from "../parts/why.js";
import { isRun, placeText, runName } from "../parts/steps.js";

// Most tasks are none.
const run = async () => (await import("./run.js")).Run;
const LIVE = new Set(["pending", "running", "retrying"]);

/** The stops that are known: [word, instant in ms, what there is to say]. */
function stops(task, decision, zone) {
  const due = Date.parse(task.scheduled_time);
  const found = [[t("due"), due, clock(due, zone)]];
  if (decision?.verdict === "fired") found.push([t("fired"), Date.parse(decision.at), `${t("term")} ${decision.term}`]);
  if (task.start_time) found.push([t("started"), Date.parse(task.start_time), `${t("attemptN", { n: task.attempt })}, ${task.worker_id ?? ""}`]);
  if (task.end_time) found.push([t("ended"), Date.parse(task.end_time), statusWord(task.status)]);
  else found.push([statusWord(task.status), now.value, task.reason]);
  return found;
}

/** The stops at equal distance, with the time between them: ms and minutes are legible together. */
function Timeline({ task, decision }) {
  const found = stops(task, decision, zoneOf());
  return html`<ol class="timeline">${found.map(([word, at, more], index) => {
    const next = found[index + 1];
    const shape = STATES[task.status] ?? "active";
    return html`<li key=${word} class=${next ? (index === found.length - 2 && task.start_time ? `ran s-${shape}` : "") : `end s-${shape}`}>
      <span class="stop">${!next && html`<${Glyph} kind=${shape} />`}</span>
      ${next && html`<span class="gap">${duration(Math.max(0, next[1] - at))}</span>`}
      <b>${word}</b><small dir="auto">${more}</small></li>`;
  })}</ol>`;
}

// How an attempt ended, where that is no state of a task: [glyph, text key].
const ENDS = { crashed: ["failed", "crashed"], released: ["skipped", "released"] };

/** The latest attempts, where there was more than one: the timeline tells a single one. */
function Attempts({ list }) {
  if (list.length < 2) return null;
  return html`<section class="attempts"><h2 id="attempts">${t("attempts")}</h2>${list[0].number > 1 && html`<p class="dim">${t("attemptsKept", { n: list.length })}</p>`}
    <table class="rows small" aria-labelledby="attempts"><thead><tr><th class="r w-num">#</th><th class="w-state">${t("state")}</th><th class="w-worker">${t("worker")}</th><th class="w-at">${t("started")}</th><th class="r w-took">${t("took")}</th><th>${t("error")}</th></tr></thead>
    <tbody>${[...list].reverse().map((one) => {
      const [kind, word] = ENDS[one.how] ?? [];
      const end = one.end_time ? Date.parse(one.end_time) : now.value;
      return html`<tr key=${one.number} data-row><td class="r num">${one.number}</td><td>${kind ? html`<${State} kind=${kind}>${t(word)}<//>` : html`<${TaskState} status=${one.how} />`}</td><td class="words" dir="auto" title=${one.worker_id}>${one.worker_id}</td><td><${At} at=${one.start_time} /></td><td class="r num">${duration(Math.max(0, end - Date.parse(one.start_time)))}</td><td class="words" dir="auto" title=${one.error}>${one.code && html`<code>${one.code}</code> `}${one.error.trim().split("\n").at(-1)}</td></tr>`;
    })}</tbody></table></section>`;
}

function Progress({ value }) {
  if (value === null || typeof value !== "object" || typeof value.done !== "number") return null;
  const share = value.total ? Math.min(1, value.done / value.total) : null;
  return html`<p class="progress"><span>${t("progress")}</span>${share !== null && html`<progress value=${share} aria-label=${t("progress")}></progress>`}
    <span class="num">${value.done}${value.total ? ` / ${value.total}` : ""}</span> <span class="dim" dir="auto">${value.message ?? ""}</span></p>`;
}

function Head({ task }) {
  const ran = task.start_time && task.end_time ? Date.parse(task.end_time) - Date.parse(task.start_time) : null;
  const live = LIVE.has(task.status);
  return html`<div class="head"><div>
      <p class="crumbs"><a href=${href(["tasks"])}>${t("tasks")}</a>${task.config_id && html` / <a href=${href(["configs", task.config_id])}><bdi>${task.config_id}</bdi></a>`}${task.run_id && html` / <a class="torun" href=${href(["tasks", task.run_id])}>${t("run")} <bdi>${runName(task.run_id)}</bdi></a>`}</p>
      <div class="inline"><${Title}>${task.run_id ? placeText(task.id) : task.config_id ? when(task.scheduled_time) : html`<bdi>${task.id}</bdi>`}<//>
        <${TaskState} status=${task.status} soft>${task.status === "success" ? t("successOn", { n: task.attempt }) : undefined}<//>
        ${ran !== null && html`<span class="dim">${t("tookText", { text: duration(ran) })}</span>`}<code class="dim clip" dir="auto">${task.id}</code></div>
    </div><div class="acts">
      <${Copy} text=${`dsched task get ${shell(task.id)}`} label=${t("copyCommand")} plain />
      ${live && !task.cancel_requested && html`<${ActButton} kind="cancel" ids=${[task.id]} label=${t("cancelMore")} />`}
      ${!live && !task.run_id && html`<${ActButton} kind="retry" ids=${[task.id]} label=${t(task.status === "success" ? "runAgain" : "retryMore")} primary=${task.status !== "success"} after=${(made) => go(href(["tasks", made.id]))} />`}
      ${!live && task.run_id && html`<span class="dim">${t("retriedWithRun")}</span>`}
      ${task.config_id && !task.run_id && html`<${KeyAct} shortcut="t"><${ActButton} kind="trigger" ids=${[task.config_id]} label=${t("triggerMore")} shortcut="t" after=${(made) => go(href(["tasks", made.id]))} /><//>`}
    </div></div>`;
}

export function Task({ id }) {
  const found = useResource(path(["tasks", id], { full: true }), {
    fits: (event) => event.items?.some((one) => one.task === id),
    everyMs: 500,
  });
  const why = useWhy("tasks", id);
  return html`<section class="page flush">${!found.data && html`<div class="head"><${Title}><bdi>${id}</bdi><//></div>`}<${Loaded} from=${found}>${(task) => isRun(task) ? html`<${Bring} load=${run} task=${task} />` : html`
    <${Head} task=${task} />
    <${Timeline} task=${task} decision=${why.data?.decision} />
    <${Attempts} list=${task.attempts ?? []} />
    ${task.error && html`<pre class="failure" tabindex="0" dir="auto">${task.error}</pre>`}
    <${Progress} value=${task.progress} />
    <span hidden data-key="l" onClick=${() => document.querySelector("#logs .lines")?.focus()}></span>
    <div class="split even"><div class="logside"><${Lines} id=${id} live=${LIVE.has(task.status)} /></div>
      <aside><${Why} from=${why} />
        ${task.payload_hidden ? html`<section class="value"><h2>${t("payload")}</h2><p class="dim">${t("payloadHidden")}</p></section>` : task.spec && html`<${Value} title=${t("payload")} value=${task.spec.payload ?? null} name=${`${id}-payload`} />`}
        ${task.result && task.result.data !== null && html`<${Value} title=${t("result")} value=${task.result.data} name=${`${id}-result`} />`}
        ${task.end_time && html`<p class="dim">${t("ended")} <${At} at=${task.end_time} /></p>`}
      </aside></div>`}<//></section>`;
}
