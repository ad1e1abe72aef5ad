// Tasks by one index of the API at a time: what the address says is what is asked.
import { path } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { listen } from "../live.js";
import { ask, href, route } from "../router.js";
import { count, duration, now, zoneOf } from "../time.js";
import { t } from "../text.js";
import { ActButton, mayAct } from "../parts/acts.js";
import { Ago, At, Choice, Loaded, TaskLink, Title, useRows, WorkerLink } from "../parts/basics.js";
import { TaskState } from "../parts/glyph.js";
import { Icon } from "../parts/icons.js";
import { useList } from "../parts/resource.js";
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
const LIVE = new Set(["running", "ready", "delayed", "held", "open"]);
const NEWS = { success: "success", failed: "failed", cancelled: "cancelled" };

/** How many tasks came since the list was read: they wait until the reader wants them. */
function useNews(view) {
  const [news, setNews] = useState(0);
  useEffect(() => {
    setNews(0);
    return listen(({ kind, items = [] }) => {
      const fits = LIVE.has(view)
        ? { running: kind === "claimed", ready: kind === "fired" || kind === "submitted", delayed: kind === "deferred", held: kind === "fired" }[view] && items
        : items.filter((one) => one.status === NEWS[view]);
      const more = (fits || []).filter((one) => view !== "held" || one.held).length;
      if (more) setNews((was) => was + more);
    });
  }, [view]);
  return [news, () => setNews(0)];
}

function Row({ task, chosen, choose }) {
  const started = task.start_time && Date.parse(task.start_time);
  const ended = task.end_time ? Date.parse(task.end_time) : now.value;
  return html`<tr data-row class=${chosen ? "chosen" : ""}>
    ${mayAct("retry") && html`<td class="w-check"><label class="check"><input type="checkbox" checked=${chosen} onChange=${choose} aria-label=${t("selectOne", { name: task.id })} /></label></td>`}
    <td><${TaskState} status=${task.status} /></td>
    <td class="main clip"><${TaskLink} id=${task.id}>${(task.config_id ?? (task.run_id || task.id)) + (task.run_id ? ` · ${placeText(task.id)}` : "")}<//>${looksLikeRun(task) && html` <span class="tag">${t("run")}</span>`}</td>
    <td class="num"><${At} at=${task.scheduled_time} /></td><td class="num"><${Ago} at=${task.scheduled_time} /></td>
    <td class="r num">${started && task.status !== "pending" ? duration(Math.max(0, ended - started)) : ""}</td>
    <td class="num">${task.attempt || ""}</td><td><${WorkerLink} id=${task.worker_id} /></td>
    <td class="wide dim clip" dir="auto" title=${task.error || task.reason}>${task.error || task.reason}</td>
  </tr>`;
}

export function Tasks() {
  const { state = "running", start = "0" } = route.value.query;
  const view = VIEWS[state] ? state : "running";
  const [news, seen] = useNews(view);
  const [chosen, setChosen] = useState([]);
  const table = useRows();
  const list = useList((more) => path(["tasks"], { ...VIEWS[view][1], limit: PAGE, ...more }));
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
    <div class="filters"><${Choice} label=${t("state")} value=${view} onChange=${(one) => { setChosen([]); ask({ state: one, start: "" }); }} options=${Object.entries(VIEWS).map(([name, [key]]) => [name, t(key)])} />
      <span class="fresh">${news > 0 && html`<button type="button" class="small" onClick=${refresh}>${t("newRows", { n: count(news) })}</button>`}</span></div>
    <${Loaded} from=${list}>${() =>
      shown.length === 0
        ? html`<p class="dim pad">${t(view === "running" ? "nothingRuns" : "nothingMatches")}</p>`
        : html`<table ref=${table} class="rows fixed"><thead><tr>
        ${mayAct("retry") && html`<th class="w-check"><label class="check"><input type="checkbox" checked=${every} aria-label=${t("selectAll")} onChange=${() => setChosen(every ? [] : shown.map((one) => one.id))} /></label></th>`}
        <th class="w-state">${t("state")}</th><th>${t("config")}</th><th class="w-at">${t("dueIn", { zone: zoneOf() })}</th><th class="w-ago"><span class="off">${t("due")}</span></th><th class="r w-took">${t("took")}</th><th class="w-num">${t("attempt")}</th><th class="w-worker">${t("worker")}</th><th class="wide">${t("note")}</th></tr></thead>
        <tbody>${shown.map((one) => html`<${Row} key=${one.id} task=${one} chosen=${chosen.includes(one.id)} choose=${() => setChosen(chosen.includes(one.id) ? chosen.filter((id) => id !== one.id) : [...chosen, one.id])} />`)}</tbody></table>`}<//>
    <p class="pad acts">${from > 0 && html`<a class="button" href=${href(["tasks"], { state: view, start: String(Math.max(0, from - MOST)) })}>‹ ${MOST}</a>`}
      ${from + MOST < all.length && html`<a class="button" href=${href(["tasks"], { state: view, start: String(from + MOST) })}>${MOST} ›</a>`}
      ${from + MOST >= all.length && list.more && html`<button type="button" onClick=${list.more}>${t("moreRows")}</button>`}</p>
    <div class="selection-space"></div>
    ${picked.length > 0 && html`<div class="selection" role="region" aria-label=${t("selected", { n: picked.length })}><b>${t("selected", { n: picked.length })}</b>
      ${LIVE.has(view) ? html`<${ActButton} kind="cancel" ids=${picked} label=${t("cancelMore")} small after=${refresh} />` : html`<${ActButton} kind="retry" ids=${picked} label=${t("retryMore")} small after=${refresh} />`}
      <button type="button" class="tool" aria-label=${t("clearSelection")} onClick=${() => setChosen([])}><${Icon} name="close" /></button></div>`}
  </section>`;
}
