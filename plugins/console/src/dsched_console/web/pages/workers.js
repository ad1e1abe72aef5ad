// Workers: who is there, what each runs now, and how full it is.
import { path } from "../api.js";
import { html } from "../html.js";
import { route } from "../router.js";
import { duration, now } from "../time.js";
import { t } from "../text.js";
import { ActButton } from "../parts/acts.js";
import { Chip, Loaded, TaskLink, Title, useRows } from "../parts/basics.js";
import { State } from "../parts/glyph.js";
import { useResource } from "../parts/resource.js";

const FITS = new Set(["worker", "claimed", "completed", "released", "reaped"]);

function stateOf(worker) {
  if (worker.gone) return ["late", "gone"];
  if (worker.draining) return ["paused", "draining"];
  if (worker.stalled) return ["late", "stalled"];
  return worker.running >= worker.capacity ? ["running", "busy"] : ["active", "idle"];
}

function Row({ worker, tasks, marked }) {
  const [glyph, word] = stateOf(worker);
  const silent = Math.max(0, now.value - Date.parse(worker.last_heartbeat));
  const share = worker.capacity ? Math.min(1, worker.running / worker.capacity) : 0;
  return html`<tr data-row class=${marked ? "chosen" : ""}>
    <td class="main clip" dir="auto"><b title=${worker.id}>${worker.id}</b></td><td><${State} kind=${glyph}>${t(word)}<//></td>
    <td class="num"><span class="meter" aria-hidden="true"><i style=${{ width: `${100 * share}%` }}></i></span> ${worker.running} / ${worker.capacity}</td>
    <td class="r num">${worker.queued}</td><td class="r num ${worker.gone ? "s-late" : "dim"}">${duration(Math.round(silent / 1000) * 1000, 1)}</td>
    <td class="clip">${tasks.map((one) => html`<${TaskLink} key=${one.id} id=${one.id}>${one.config_id ?? one.id}<//> `)}</td>
    <td class="wide">${Object.entries(worker.labels).map(([key, value]) => html`<${Chip} key=${key} name=${key}>${value}<//>`)}</td>
    <td class="r">${worker.draining ? html`<${ActButton} kind="resumeWorker" ids=${[worker.id]} label=${t("resume")} small />` : html`<${ActButton} kind="drain" ids=${[worker.id]} label=${t("drainMore")} small />`}</td>
  </tr>`;
}

export function Workers() {
  const table = useRows();
  const options = { fits: (event) => FITS.has(event.kind), everyMs: 2000 };
  const found = useResource(path(["workers"], { limit: 500 }), options);
  const running = useResource(path(["tasks"], { home: "lease", limit: 200 }), options);
  const of = (id) => (running.data?.items ?? []).filter((one) => one.worker_id === id).slice(0, 5);
  return html`<section class="page"><div class="head"><div class="inline"><${Title}>${t("workers")}<//>${found.data && html`<span class="dim">${found.data.items.length}</span>`}</div></div>
    <${Loaded} from=${found}>${({ items }) =>
      items.length === 0
        ? html`<p class="dim pad">${t("noWorkers")}</p>`
        : html`<table ref=${table} class="rows fixed"><thead><tr><th>${t("worker")}</th><th class="w-state">${t("state")}</th><th class="w-slots">${t("slots")}</th><th class="r w-num">${t("queued")}</th><th class="r w-took">${t("heartbeat")}</th><th>${t("runningNow")}</th><th class="wide">${t("labels")}</th><th class="w-finish"><span class="off">${t("drain")}</span></th></tr></thead>
        <tbody>${items.map((one) => html`<${Row} key=${one.id} worker=${one} tasks=${of(one.id)} marked=${route.value.query.worker === one.id} />`)}</tbody></table>`}<//>
  </section>`;
}
