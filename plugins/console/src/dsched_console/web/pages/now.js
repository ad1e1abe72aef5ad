// Now: is it healthy, what runs, what fires next, what should have run and did not.
import { html, useState } from "../html.js";
import { href } from "../router.js";
import { count, duration, now, relative, when, zoneOf } from "../time.js";
import { t } from "../text.js";
import { words } from "../words.js";
import { act, mayAct } from "../parts/acts.js";
import { Ago, At, ConfigLink, Copy, Key, TaskLink, Title, Trouble, useRows, WorkerLink } from "../parts/basics.js";
import { Glyph, State } from "../parts/glyph.js";
import { ProblemItem } from "../parts/problem.js";
import { cluster, read, trouble } from "../parts/standing.js";
import { Strip } from "../parts/strip.js";
import { PickConfig } from "../parts/pick.js";

function sentence({ configs, problems, leader }) {
  if (!leader) return t("noLeader");
  if (!configs.total) return t("noConfigs");
  const off = new Set(
    problems.filter((one) => ["late", "missed"].includes(one.kind)).map((one) => one.config_id),
  ).size;
  const first = off
    ? t("someOnTime", { ok: configs.total - off, n: configs.total })
    : t("allOnTime", { n: configs.total });
  return `${first} ${problems.length ? t("needYou", { n: problems.length }) : t("nothingNeedsYou")}`;
}

function Below({ found }) {
  const late = found.problems.filter((one) => one.kind === "late");
  const missed = found.problems.filter((one) => one.kind === "missed");
  return html`<p class="below">
    ${late.length > 0 && html`<${State} kind="late">${t("lateCount", { n: late.length })}: <bdi>${late[0].config_id}</bdi><//>`}
    ${missed.length > 0 && html`<${State} kind="missed">${t("missed")}: <bdi>${missed[0].config_id}</bdi><//>`}
    ${found.configs.paused > 0 && html`<${State} kind="paused">${t("pausedCount", { n: found.configs.paused })}<//>`}
    ${found.configs.disabled > 0 && html`<span class="dim">${t("disabledCount", { n: found.configs.disabled })}</span>`}
    ${found.leader?.since && html`<span class="dim">${t("leaderSince", { text: duration(Math.max(0, now.value - Date.parse(found.leader.since)), 1) })}</span>`}
  </p>`;
}

const Tile = ({ kind, name, value, unit, below }) => html`<div class="tile">
  <dt><${Glyph} kind=${kind} /> ${name}</dt>
  <dd><b>${value}</b> ${unit && html`<span class="dim">${unit}</span>`}<small>${below}</small></dd>
</div>`;

function Tiles({ found }) {
  const { tasks, day, workers } = found;
  const ended = day.success + day.failed;
  const oldest = tasks.oldest_waiting;
  const age = oldest ? Math.max(0, now.value - Date.parse(oldest)) : null;
  return html`<dl class="tiles">
    <${Tile} kind="running" name=${t("running")} value=${count(tasks.running)} unit=${t("ofSlots", { n: workers.capacity })} below=${t("workersSub", { n: workers.present, all: workers.count })} />
    <${Tile} kind="waiting" name=${t("waiting")} value=${count(tasks.waiting)} below=${t("waitingSub", tasks)} />
    <${Tile} kind=${age > 60_000 ? "late" : "waiting"} name=${t("oldestWaiting")} value=${age === null ? "–" : duration(age)} below=${oldest ? t("sinceText", { text: when(oldest) }) : t("nothingWaits")} />
    <${Tile} kind="success" name=${t("succeeded24")} value=${count(day.success)} unit=${ended ? `${((100 * day.success) / ended).toFixed(1)} %` : ""} below=${day.wait_p99_ms === null ? t("firesSub", { n: day.fires }) : t("latenessP99", { text: duration(day.wait_p99_ms) })} />
    <${Tile} kind="failed" name=${t("failed24")} value=${count(day.failed)} below=${t("retriesSub", { n: day.retries })} />
    <${Tile} kind="missed" name=${t("missed24")} value=${count(day.missed)} below=${t("firesSub", { n: day.fires })} />
  </dl>`;
}

/** Elapsed against p50 and p90: amber is what is beyond p90. */
function Against({ elapsed, p50, p90 }) {
  if (!p90) return html`<span class="dim">${t("unknownYet")}</span>`;
  const full = Math.max(elapsed, p90) * 1.08;
  const at = (ms) => `${Math.min(100, (100 * ms) / full)}%`;
  return html`<span class="against" role="img" aria-label=${`${duration(elapsed)}, p50 ${duration(p50)}, p90 ${duration(p90)}`}>
    <i class="fill" style=${{ width: at(Math.min(elapsed, p90)) }}></i>
    ${elapsed > p90 && html`<i class="over" style=${{ left: at(p90), width: `${(100 * (elapsed - p90)) / full}%` }}></i>`}
    <i class="tick" style=${{ left: at(p50) }}></i><i class="tick thick" style=${{ left: at(p90) }}></i>
  </span>`;
}

/** How long it has run. That it runs beyond its p90 is only said of what the server has seen there:
 * since it was asked, it may have ended. */
function elapsedOf(started, p90, toldAt) {
  const elapsed = Math.max(0, now.value - started);
  const seen = Date.parse(toldAt) - started;
  return p90 && seen <= p90 ? Math.min(elapsed, p90) : elapsed;
}

function Finish({ started, elapsed, p50, p90 }) {
  if (!p90) return "";
  if (elapsed > p90) return html`<${State} kind="late">${t("overP90", { text: duration(elapsed - p90) })}<//>`;
  const at = started + (elapsed > p50 ? p90 : p50);
  return html`${when(at)} <span class="dim">${relative(at)}</span>`;
}

function Running({ found }) {
  const table = useRows();
  const rows = found.running;
  return html`<section class="running" aria-labelledby="running-title">
    <h2 id="running-title">${t("runningNow")} <span class="dim">${count(found.tasks.running)}</span>
      <span class="legend end"><i class="tick"></i> p50 <i class="tick thick"></i> p90</span></h2>
    ${rows.length === 0 && html`<p class="dim pad">${t("nothingRuns")}</p>`}
    ${rows.length > 0 && html`<table ref=${table} class="rows fixed">
      <thead><tr><th>${t("config")}</th><th class="w-worker">${t("worker")}</th><th class="w-clock">${t("started")}</th><th class="r w-took">${t("elapsed")}</th><th class="w-bar">${t("history")}</th><th class="r w-finish">${t("expectedFinish")}</th></tr></thead>
      <tbody>${rows.map(({ task, p50_ms, p90_ms }) => {
        const started = Date.parse(task.start_time);
        const elapsed = elapsedOf(started, p90_ms, found.time);
        return html`<tr key=${task.id} data-row>
          <td class="main"><${Glyph} kind="running" label=${t("running")} /> <${TaskLink} id=${task.id}>${task.config_id ?? task.id}<//>${task.attempt > 1 && html` <small>${t("attemptN", { n: task.attempt })}</small>`}</td>
          <td><${WorkerLink} id=${task.worker_id} /></td>
          <td class="num"><${At} at=${task.start_time} clockOnly /></td>
          <td class="r num">${duration(elapsed)}</td>
          <td><${Against} elapsed=${elapsed} p50=${p50_ms} p90=${p90_ms} /></td>
          <td class="r num"><${Finish} started=${started} elapsed=${elapsed} p50=${p50_ms} p90=${p90_ms} /></td>
        </tr>`;
      })}</tbody>
    </table>`}
  </section>`;
}

function Next({ found }) {
  const failing = new Map(found.problems.filter((one) => one.kind === "failing").map((one) => [one.config_id, one]));
  return html`<section aria-labelledby="next-title">
    <h2 id="next-title">${t("nextUp")}</h2>
    ${found.next.length === 0 && html`<p class="dim pad">${t("nothingDue")}</p>`}
    ${found.next.length > 0 && html`<table class="rows small fixed nexts"><thead class="off"><tr><th class="w-at">${t("due")}</th><th class="w-ago">${t("next")}</th><th>${t("config")}</th><th>${t("fires")}</th></tr></thead>
    <tbody>${found.next.slice(0, 8).map((one) => {
      const bad = failing.get(one.config_id);
      return html`<tr key=${one.config_id}>
        <td class="num"><${At} at=${one.due} own=${one.trigger.timezone} clockOnly /></td><td class="num"><${Ago} at=${one.due} short /></td>
        <td class="main"><${ConfigLink} id=${one.config_id} /></td>
        <td class="r">${bad ? html`<span class="bad">${t("failing")}</span>` : html`<span class="dim">${words(one.trigger).text}</span>`}</td>
      </tr>`;
    })}</tbody></table>`}
  </section>`;
}

const JOBS = `import dsched

@dsched.task("hello")
def hello(name="world"):
    return f"hello {name}"`;
const TASKS = `tasks:
  - id: hello-every-minute
    cron_expr: "* * * * *"
    executor: local
    payload: {function: hello, args: {name: you}}`;
const RUN = "dsched-run --app jobs --tasks tasks.yaml";

function FirstSteps() {
  return html`<section class="steps"><h2>${t("firstSteps")}</h2><ol>
    ${[["step1", JOBS], ["step2", TASKS], ["step3", RUN]].map(
      ([key, text]) => html`<li key=${key}><p>${t(key)} <${Copy} text=${text} /></p><pre class="command" tabindex="0">${text}</pre></li>`,
    )}
  </ol></section>`;
}

export function Now() {
  const [picking, setPicking] = useState(false);
  const found = cluster.value;
  if (!found)
    return html`<section class="page">${trouble.value ? html`<${Trouble} error=${trouble.value} reload=${() => read()} />` : html`<p class="dim" aria-busy="true">${t("loading")}</p>`}</section>`;
  return html`<section class="page now">
    <div class="head"><div><${Title}>${sentence(found)}<//><${Below} found=${found} /></div>
      ${mayAct("trigger") && found.configs.total > 0 && html`<div class="acts"><button type="button" class="primary" data-key="t" onClick=${() => setPicking(true)}>${t("triggerMore")} <${Key}>t<//></button></div>`}
    </div>
    ${trouble.value && html`<${Trouble} error=${trouble.value} reload=${() => read()} />`}
    <${Tiles} found=${found} />
    ${found.configs.total === 0
      ? html`<${FirstSteps} />`
      : html`<div class="strip-area"><${Strip} found=${found} zone=${zoneOf()} /></div>
      <div class="columns">
        <${Running} found=${found} />
        <div class="aside">
          <section class="needs" aria-labelledby="needs-title">
            <h2 id="needs-title">${t("needsYou")} <span class="dim">${found.problems.length}</span> <a class="end" href=${href(["problems"])}>${t("allProblems")}</a></h2>
            ${found.problems.length === 0 && html`<p class="pad"><${State} kind="success">${t("nothingNeedsYou")}<//></p>`}
            ${found.problems.slice(0, 3).map((one) => html`<${ProblemItem} key=${one.kind + (one.config_id ?? one.worker_id)} problem=${one} />`)}
          </section>
          <${Next} found=${found} />
        </div>
      </div>`}
    ${picking && html`<${PickConfig} done=${(id) => { setPicking(false); if (id) act("trigger", [id]); }} />`}
  </section>`;
}
