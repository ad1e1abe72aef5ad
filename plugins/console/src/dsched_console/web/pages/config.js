// A config: the sentence, policies in words, the next fires; then tasks, upcoming, definition, why.
import { path } from "../api.js";
import { html } from "../html.js";
import { ask, go, href, route } from "../router.js";
import { duration, when, zoneOf } from "../time.js";
import { t } from "../text.js";
import { words } from "../words.js";
import { ActButton, KeyAct, mayAct } from "../parts/acts.js";
import { Ago, At, Chip, Copy, Key, Loaded, shell, TaskLink, Title, useRows, WorkerLink } from "../parts/basics.js";
import { Bring } from "../parts/bring.js";
import { Durations } from "../parts/durations.js";
import { State, TaskState } from "../parts/glyph.js";
import { Icon } from "../parts/icons.js";
import { useList, useResource } from "../parts/resource.js";
import { cluster } from "../parts/standing.js";
import { Value } from "../parts/value.js";
import { useWhy, Why } from "../parts/why.js";
import { stateOf } from "./configs.js";

const TABS = ["tasks", "graph", "upcoming", "decisions", "definition", "why"];
const workflow = async () => (await import("./workflow.js")).Workflow;
/** The tabs of a config: one that makes runs has a graph. */
const tabsOf = ({ spec }) => TABS.filter((one) => one !== "graph" || "steps" in spec || "shards" in spec);

const runOf = (task) => (task.start_time && task.end_time ? Date.parse(task.end_time) - Date.parse(task.start_time) : null);
const about = (id) => (event) => event.items?.some((one) => one.config === id || one.task?.startsWith(`${id}@`));

function Policies({ spec }) {
  const retry = spec.retry ?? {};
  const limits = [
    [t("overlap"), spec.overlap ?? "skip"],
    [t("missedPolicy"), spec.misfire ?? "fire_once"],
    [t("retries"), String(retry.max_retries ?? 0)],
    [t("timeout"), spec.timeout],
    [t("priority"), String(spec.priority ?? 5)],
    [t("executor"), spec.executor ?? spec.type],
    [t("steps"), spec.steps && String(Object.keys(spec.steps).length)],
    [t("shards"), spec.shards && String(spec.shards)],
  ];
  return html`<p class="chips">${limits.filter(([, value]) => value !== undefined && value !== null).map(([name, value]) => html`<${Chip} key=${name} name=${name}>${value.replaceAll("_", " ")}<//>`)}
    ${Object.entries(spec.labels ?? {}).map(([key, value]) => html`<${Chip} key=${key} name=${key}>${value}<//>`)}</p>`;
}

function Fires({ id }) {
  const found = useResource(path(["configs", id, "upcoming"], { limit: 5 }), { fits: about(id), everyMs: 3000 });
  if (!found.data?.items.length) return null;
  return html`<div class="fires"><h2>${t("nextFive")}</h2><table class="rows small"><thead class="off"><tr><th>${t("due")}</th><th>UTC</th><th>${t("next")}</th></tr></thead><tbody>
    ${found.data.items.map((one) => html`<tr key=${one.time}><td class="main num"><${At} at=${one.time} /> ${one.note && html`<span class="s-late">${one.note}</span>`}</td><td class="num dim">${when(one.time, "UTC")} UTC</td><td class="r num"><${Ago} at=${one.time} /></td></tr>`)}
  </tbody></table></div>`;
}

function Tasks({ id }) {
  const table = useRows();
  const live = useResource(path(["tasks"], { live_of: id, limit: 50 }), { fits: about(id) });
  const ended = useList((more) => path(["tasks"], { config: id, limit: 50, ...more }), { fits: about(id) });
  const zone = zoneOf();
  const longest = Math.max(1, ...(ended.data ?? []).map((one) => runOf(one) ?? 0));
  const rows = [...(live.data?.items ?? []), ...(ended.data ?? []).filter((one) => !live.data?.items.some((other) => other.id === one.id))];
  return html`<${Loaded} from=${ended}>${() => html`
    <${Durations} tasks=${(ended.data ?? []).slice(0, 60).map((one) => ({ ...one, run_ms: runOf(one) }))} />
    ${rows.length === 0 && html`<p class="dim pad">${t("nothingRuns")}</p>`}
    ${rows.length > 0 && html`<table ref=${table} class="rows fixed"><thead><tr><th class="w-state">${t("state")}</th><th class="w-at">${t("dueIn", { zone })}</th><th class="r w-took">${t("lateness")}</th><th class="r w-took">${t("took")}</th><th class="wide w-bar"><span class="off">${t("took")}</span></th><th class="w-num">${t("attempt")}</th><th class="w-worker">${t("worker")}</th><th class="wide">${t("note")}</th></tr></thead>
    <tbody>${rows.map((one) => {
      const ran = runOf(one);
      const late = one.start_time ? Date.parse(one.start_time) - Date.parse(one.scheduled_time) : null;
      return html`<tr key=${one.id} data-row><td><${TaskState} status=${one.status} /></td><td class="main num"><${TaskLink} id=${one.id}><${At} at=${one.scheduled_time} /><//></td>
        <td class="r num ${late > 30_000 ? "s-late" : "dim"}">${late === null ? "" : `+${duration(late)}`}</td><td class="r num">${duration(ran)}</td>
        <td class="wide"><span class="took f-${one.status}" style=${{ width: `${(90 * (ran ?? 0)) / longest}%` }}></span></td><td class="num">${one.attempt}</td><td><${WorkerLink} id=${one.worker_id} /></td><td class="wide dim clip" dir="auto" title=${one.error}>${one.error || one.reason}</td></tr>`;
    })}</tbody></table>`}
    ${ended.more && html`<p class="pad"><button type="button" onClick=${ended.more}>${t("moreRows")}</button></p>`}
  `}<//>`;
}

function Upcoming({ id, zone }) {
  const found = useResource(path(["configs", id, "upcoming"], { limit: 50 }), { fits: about(id), everyMs: 5000 });
  return html`<${Loaded} from=${found}>${({ items }) =>
    items.length === 0
      ? html`<p class="dim pad">${t("nothingDue")}</p>`
      : html`<table class="rows"><thead><tr><th>${t("due")}</th><th>${t("local")} <span class="dim">${zone}</span></th><th>UTC</th><th class="r">${t("next")}</th><th>${t("note")}</th></tr></thead>
      <tbody>${items.map((one) => html`<tr key=${one.time}><td class="main num"><${At} at=${one.time} /></td><td class="num">${one.local}</td><td class="num dim">${when(one.time, "UTC")}</td><td class="r num"><${Ago} at=${one.time} /></td><td class="s-late" dir="auto">${one.note}</td></tr>`)}</tbody></table>`}<//>`;
}

function Decisions({ id }) {
  const list = useList((more) => path(["configs", id, "decisions"], { limit: 50, ...more }), { fits: about(id), everyMs: 3000 });
  const shape = { fired: "active", skipped: "skipped", missed: "missed" };
  return html`<${Loaded} from=${{ ...list, data: list.data }}>${(items) => html`<table class="rows"><thead><tr><th class="w-state">${t("verdict")}</th><th class="w-at">${t("due")}</th><th class="r w-took">${t("lateness")}</th><th class="w-num">${t("term")}</th><th>${t("task")}</th><th>${t("reason")}</th></tr></thead>
    <tbody>${items.map((one) => html`<tr key=${`${one.first} ${one.verdict}`}><td><${State} kind=${shape[one.verdict] ?? "active"}>${one.verdict}${one.count > 1 ? ` × ${one.count}` : ""}<//></td>
      <td class="num"><a href=${href(["configs", id], { tab: "why", at: one.first })}><${At} at=${one.first} /></a></td><td class="r num dim">${duration(one.late_ms)}</td><td class="num">${one.term || ""}</td><td>${one.task_id && html`<${TaskLink} id=${one.task_id} />`}</td><td class="dim" dir="auto">${[one.reason, one.detail].filter(Boolean).join(", ")}</td></tr>`)}</tbody></table>
    ${list.more && html`<p class="pad"><button type="button" onClick=${list.more}>${t("moreRows")}</button></p>`}`}<//>`;
}

function Definition({ config }) {
  return html`<${Value} title=${t("definition")} value=${config.spec} name=${config.id} />
    ${config.payload_hidden && html`<p class="dim">${t("payloadHidden")}</p>`}
    <p class="dim">${t("since")} <${At} at=${config.created} /> · ${t("version")} ${config.revision} · <${At} at=${config.updated} /></p>`;
}

function ConfigWhy({ id }) {
  const found = useWhy("configs", id, route.value.query.at);
  return html`<${Why} from=${found} steer />`;
}

function Tab({ name, config }) {
  const { id } = config;
  if (name === "graph") return html`<${Bring} load=${workflow} config=${config} />`;
  if (name === "upcoming") return html`<${Upcoming} id=${id} zone=${config.spec.timezone ?? "UTC"} />`;
  if (name === "decisions") return html`<${Decisions} id=${id} />`;
  if (name === "definition") return html`<${Definition} config=${config} />`;
  if (name === "why") return html`<${ConfigWhy} id=${id} />`;
  return html`<div class="split"><div><${Tasks} id=${id} /></div><aside><${ConfigWhy} id=${id} />
    <p class="acts"><${Copy} text=${`dsched why ${shell(id)}`} label=${t("copyCommand")} plain /></p></aside></div>`;
}

function Head({ config }) {
  const { id } = config;
  const late = cluster.value?.problems.some((one) => one.kind === "late" && one.config_id === id);
  const failing = cluster.value?.problems.find((one) => one.kind === "failing" && one.config_id === id);
  const [glyph, word] = failing && !config.paused ? ["failed", "failing"] : stateOf(config, late);
  const said = words(config.spec);
  return html`<div class="head tall"><div>
      <p class="crumbs"><a href=${href(["configs"])}>${t("configs")}</a>${config.spec.owner && html` / <span dir="auto">${config.spec.owner}</span>`}</p>
      <div class="inline"><${Title}><bdi>${id}</bdi><//>
        <${State} kind=${word === "active" ? "success" : glyph} soft>${t(word === "active" ? "activeOnTime" : word)}<//>
        ${config.origin !== "api" && html`<span class="dim" title=${t("managed", { origin: config.origin })}><${Icon} name="lock" /> ${config.origin}</span>`}</div>
      <p class="sentence">${said.text}${said.zone && html`, <span>${said.zone}</span>`}.</p>
      ${config.paused && html`<p class="s-paused" dir="auto">${t("paused")}: ${config.paused.who}, <${At} at=${config.paused.since} />${config.paused.until && html` ${t("pausedUntil")} <${At} at=${config.paused.until} />`}: ${config.paused.why}</p>`}
      ${config.skips.map((one) => html`<p key=${one.at} class="s-skipped" dir="auto">${t("skipNext").replace("…", "")}: <${At} at=${one.at} />, ${one.who}: ${one.why}</p>`)}
      <${Policies} spec=${config.spec} />
    </div>
    <div class="rightside"><div class="acts">
      ${config.paused
        ? html`<${KeyAct} shortcut="p"><${ActButton} kind="resume" ids=${[id]} label=${t("resume")} shortcut="p" /><//>`
        : html`<${KeyAct} shortcut="p"><${ActButton} kind="pause" ids=${[id]} label=${t("pauseMore")} shortcut="p" /><//>`}
      ${config.due && html`<${ActButton} kind="skip" ids=${[id]} at=${config.due} label=${t("skipNext")} />`}
      ${mayAct("pause") && html`<a class="button" data-key="e" data-act="put" href=${href(["configs", id, "edit"])}>${t("edit")} <${Key}>e<//></a>`}
      <${KeyAct} shortcut="t"><${ActButton} kind="trigger" ids=${[id]} label=${t("triggerMore")} primary shortcut="t" after=${(made) => go(href(["tasks", made.id]))} /><//>
    </div><${Fires} id=${id} /></div>
  </div>`;
}

export function Config({ id }) {
  const found = useResource(path(["configs", id]), { fits: about(id), everyMs: 2000 });
  const { tab = "tasks" } = route.value.query;
  return html`<section class="page flush">${!found.data && html`<div class="head"><${Title}><bdi>${id}</bdi><//></div>`}<${Loaded} from=${found}>${(config) => {
    const tabs = tabsOf(config);
    const chosen = tabs.includes(tab) ? tab : "tasks";
    return html`<${Head} config=${config} />
    <nav class="tabs" aria-label=${t("config")}>${tabs.map((one) => html`<a key=${one} href=${href(["configs", id], { tab: one })} aria-current=${one === chosen ? "page" : undefined} onClick=${() => ask({})}>${t(one)}</a>`)}</nav>
    <div class="tab"><${Tab} name=${chosen} config=${config} /></div>`;
  }}<//></section>`;
}
