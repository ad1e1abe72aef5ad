// Tasks, by state and by filters: what the address says is what is asked.
import { path } from "../api.js";
import { html, useEffect, useMemo, useState } from "../html.js";
import { listen } from "../live.js";
import { ask, href, route } from "../router.js";
import { count, duration, now, zoneOf } from "../time.js";
import { t } from "../text.js";
import { ActButton, mayAct } from "../parts/acts.js";
import { Ago, At, Choice, Loaded, TaskLink, Title, useRows, WorkerLink } from "../parts/basics.js";
import { Columns, hiddenOf } from "../parts/columns.js";
import { FILTERS, Filters, instantOf } from "../parts/filters.js";
import { TaskState } from "../parts/glyph.js";
import { Icon } from "../parts/icons.js";
import { useList } from "../parts/resource.js";
import { cluster } from "../parts/standing.js";
import { looksLikeRun, placeText } from "../parts/steps.js";

const PAGE = 100;
const INDEXED_MS = 1500;
const MOST = 100; // rows in the page: a click on all of them is answered at once
const VIEWS = {
  running: ["byRunning", { home: "lease" }],
  ready: ["byReady", { home: "ready" }],
  delayed: ["byDelayed", { home: "delayed" }],
  held: ["byHeld", { home: "held" }],
  open: ["byOpen", { home: "open" }],
  success: ["bySuccess", { status: "success" }],
  failed: ["byFailed", { status: "failed" }],
  cancelled: ["byCancelled", { status: "cancelled" }],
};
// Of some configs the API has what is live and what has ended, not each place where a task may wait.
const FILTERED = {
  live: ["byLive", {}],
  running: ["byRunning", { status: "running" }],
  success: VIEWS.success,
  failed: VIEWS.failed,
  cancelled: VIEWS.cancelled,
};
const COLUMNS = [["due", "due"], ["took", "took"], ["attempt", "attempt"], ["worker", "worker"], ["note", "note"]];
const shownColumns = hiddenOf("tasks");
const LIVE = new Set(["running", "ready", "delayed", "held", "open", "live"]);
const NEWS = { success: "success", failed: "failed", cancelled: "cancelled" };

/** What is asked of the API for a state, and with filters. */
function questionOf(view, given) {
  if (!FILTERS.some((one) => given[one])) return VIEWS[view][1];
  const { config = "*", label, owner, since, until } = given;
  const live = LIVE.has(view);
  const window = live ? {} : { since: since && instantOf(since, now.peek()), until: until && instantOf(until, now.peek()) };
  return { [live ? "live_of" : "config"]: config, label, owner, ...FILTERED[view][1], ...window };
}

/** Whether what an event tells of is of the configs that are meant. */
function meant(config, { task, config: own = task?.split("@")[0] ?? "" }) {
  if (!config) return true;
  return config.endsWith("*") ? own.startsWith(config.slice(0, -1)) : own === config;
}

/** How many tasks came since the list was read: they wait until the reader wants them. */
function useNews(view, config) {
  const [news, setNews] = useState(0);
  useEffect(() => {
    setNews(0);
    return listen(({ kind, items = [] }) => {
      const fits = LIVE.has(view)
        ? { live: kind === "fired" || kind === "submitted", running: kind === "claimed", ready: kind === "fired" || kind === "submitted", delayed: kind === "deferred", held: kind === "fired" }[view] && items
        : items.filter((one) => one.status === NEWS[view]);
      const more = (fits || []).filter((one) => (view !== "held" || one.held) && meant(config, one)).length;
      if (more) setNews((was) => was + more);
    });
  }, [view, config]);
  return [news, () => setNews(0)];
}

function Row({ task, chosen, choose }) {
  const { has } = shownColumns;
  const started = task.start_time && Date.parse(task.start_time);
  const ended = task.end_time ? Date.parse(task.end_time) : now.value;
  return html`<tr data-row class=${chosen ? "chosen" : ""}>
    ${mayAct("retry") && html`<td class="w-check"><label class="check"><input type="checkbox" checked=${chosen} onChange=${choose} aria-label=${t("selectOne", { name: task.id })} /></label></td>`}
    <td><${TaskState} status=${task.status} /></td>
    <td class="main clip"><${TaskLink} id=${task.id}>${(task.config_id ?? (task.run_id || task.id)) + (task.run_id ? ` · ${placeText(task.id)}` : "")}<//>${looksLikeRun(task) && html` <span class="tag">${t("run")}</span>`}</td>
    ${has("due") && html`<td class="num"><${At} at=${task.scheduled_time} /></td><td class="num"><${Ago} at=${task.scheduled_time} /></td>`}
    ${has("took") && html`<td class="r num">${started && task.status !== "pending" ? duration(Math.max(0, ended - started)) : ""}</td>`}
    ${has("attempt") && html`<td class="num">${task.attempt || ""}</td>`}${has("worker") && html`<td><${WorkerLink} id=${task.worker_id} /></td>`}
    ${has("note") && html`<td class="wide dim clip" dir="auto" title=${task.error || task.reason}>${task.error || task.reason}</td>`}
  </tr>`;
}

export function Tasks() {
  const { state = "running", start = "0", ...query } = route.value.query;
  const given = Object.fromEntries(FILTERS.filter((one) => query[one]).map((one) => [one, query[one]]));
  const filtered = Object.keys(given).length > 0;
  const views = filtered ? FILTERED : VIEWS;
  const view = views[state] ? state : filtered && LIVE.has(state) ? "live" : "running";
  const question = useMemo(() => questionOf(view, given), [view, JSON.stringify(given)]);
  const { has } = shownColumns;
  const [news, seen] = useNews(view, given.config);
  const [chosen, setChosen] = useState([]);
  const table = useRows();
  const list = useList((more) => path(["tasks"], { ...question, limit: PAGE, ...more }));
  const suggested = [...new Set([...(cluster.value?.running ?? []).map((one) => one.task.config_id), ...(cluster.value?.next ?? []).map((one) => one.config_id)])].filter(Boolean);
  const all = list.data ?? [];
  const from = Math.max(0, Math.min(Number(start) || 0, Math.max(0, all.length - 1)));
  const shown = all.slice(from, from + MOST);
  const picked = chosen.filter((id) => shown.some((one) => one.id === id));
  const every = shown.length > 0 && picked.length === shown.length;
  const refresh = () => {
    seen();
    list.reload();
    setTimeout(list.reload, INDEXED_MS); // an ended task is listed a moment after it is told of
  };
  return html`<section class="page">
    <div class="head"><div class="inline"><${Title}>${t("tasks")}<//><span class="dim">${count(all.length)}${list.more ? "+" : ""}</span></div></div>
    <div class="filters"><${Choice} label=${t("state")} value=${view} onChange=${(one) => { setChosen([]); ask({ state: one, start: "" }); }} options=${Object.keys(views).map((name) => [name, t(views[name][0])])} />
      <span class="fresh">${news > 0 && html`<button type="button" class="small" onClick=${refresh}>${t("newRows", { n: count(news) })}</button>`}</span><span class="end"><${Columns} of=${shownColumns} columns=${COLUMNS} /></span></div>
    <${Filters} given=${given} configs=${suggested} onChange=${(one) => { setChosen([]); ask({ ...one, start: "" }); }} />
    <${Loaded} from=${list}>${() =>
      shown.length === 0
        ? html`<p class="dim pad">${t(view === "running" ? "nothingRuns" : "nothingMatches")}</p>`
        : html`<table ref=${table} class="rows fixed"><thead><tr>
        ${mayAct("retry") && html`<th class="w-check"><label class="check"><input type="checkbox" checked=${every} aria-label=${t("selectAll")} onChange=${() => setChosen(every ? [] : shown.map((one) => one.id))} /></label></th>`}
        <th class="w-state">${t("state")}</th><th>${t("config")}</th>${has("due") && html`<th class="w-at">${t("dueIn", { zone: zoneOf() })}</th><th class="w-ago"><span class="off">${t("due")}</span></th>`}${has("took") && html`<th class="r w-took">${t("took")}</th>`}${has("attempt") && html`<th class="w-num">${t("attempt")}</th>`}${has("worker") && html`<th class="w-worker">${t("worker")}</th>`}${has("note") && html`<th class="wide">${t("note")}</th>`}</tr></thead>
        <tbody>${shown.map((one) => html`<${Row} key=${one.id} task=${one} chosen=${chosen.includes(one.id)} choose=${() => setChosen(chosen.includes(one.id) ? chosen.filter((id) => id !== one.id) : [...chosen, one.id])} />`)}</tbody></table>`}<//>
    <p class="pad acts">${from > 0 && html`<a class="button" href=${href(["tasks"], { ...given, state: view, start: String(Math.max(0, from - MOST)) })}>‹ ${MOST}</a>`}
      ${from + MOST < all.length && html`<a class="button" href=${href(["tasks"], { ...given, state: view, start: String(from + MOST) })}>${MOST} ›</a>`}
      ${from + MOST >= all.length && list.more && html`<button type="button" onClick=${list.more}>${t("moreRows")}</button>`}</p>
    <div class="selection-space"></div>
    ${picked.length > 0 && html`<div class="selection" role="region" aria-label=${t("selected", { n: picked.length })}><b>${t("selected", { n: picked.length })}</b>
      ${LIVE.has(view) ? html`<${ActButton} kind="cancel" ids=${picked} label=${t("cancelMore")} small after=${refresh} />` : html`<${ActButton} kind="retry" ids=${picked} label=${t("retryMore")} small after=${refresh} />`}
      <button type="button" class="tool" aria-label=${t("clearSelection")} onClick=${() => setChosen([])}><${Icon} name="close" /></button></div>`}
  </section>`;
}
