// Workers: who is there, what each ran and runs now, and how full it is.
import { path } from "../api.js";
import { html, useState } from "../html.js";
import { ask, route } from "../router.js";
import { duration, now } from "../time.js";
import { t } from "../text.js";
import { ActButton } from "../parts/acts.js";
import { Chip, Choice, Loaded, TaskLink, Title, Trouble, useRows } from "../parts/basics.js";
import { State } from "../parts/glyph.js";
import { Lane, LaneTable, useLanes } from "../parts/lanes.js";
import { useResource } from "../parts/resource.js";

const FITS = new Set(["worker", "claimed", "completed", "released", "reaped"]);
const SPANS = { "10m": 600_000, "1h": 3_600_000 };
const NAMED = 5; // tasks of a worker that are named

function stateOf(worker) {
  if (worker.gone) return ["late", "gone"];
  if (worker.draining) return ["paused", "draining"];
  if (worker.stalled) return ["late", "stalled"];
  return worker.running > 0 ? ["running", "busy"] : ["active", "idle"];
}

function Row({ worker, pieces, spanMs, marked }) {
  const [glyph, word] = stateOf(worker);
  const heard = Date.parse(worker.last_heartbeat);
  const silent = Math.max(0, now.value - heard);
  const share = worker.capacity ? Math.min(1, worker.running / worker.capacity) : 0;
  const running = pieces.filter((one) => one.to === null);
  return html`<tr data-row class=${marked ? "chosen" : ""}>
    <td class="main clip" dir="auto"><b title=${worker.id}>${worker.id}</b></td><td><${State} kind=${glyph}>${t(word)}<//></td>
    <td class="num"><span class="meter" aria-hidden="true"><i style=${{ width: `${100 * share}%` }}></i></span> ${worker.running} / ${worker.capacity}</td>
    <td class="r num">${worker.queued}</td><td class="r num ${worker.gone ? "s-late" : "dim"}">${duration(Math.round(silent / 1000) * 1000, 1)}</td>
    <td class="lanecell"><${Lane} pieces=${pieces} spanMs=${spanMs} goneAt=${worker.gone ? heard : null} name=${worker.id} />
      ${running.length > 0 && html`<p class="clip lanenames"><span class="off">${t("runningNow")}</span> ${running.slice(0, NAMED).map((one) => html`<${TaskLink} key=${one.id} id=${one.id}>${one.name}<//> `)}${running.length > NAMED && html`<span class="dim">+ ${running.length - NAMED}</span>`}</p>`}</td>
    <td class="wide">${Object.entries(worker.labels).map(([key, value]) => html`<${Chip} key=${key} name=${key}>${value}<//>`)}</td>
    <td class="r">${worker.draining ? html`<${ActButton} kind="resumeWorker" ids=${[worker.id]} label=${t("resume")} small />` : html`<${ActButton} kind="drain" ids=${[worker.id]} label=${t("drainMore")} small />`}</td>
  </tr>`;
}

export function Workers() {
  const table = useRows();
  const [asTable, setAsTable] = useState(false);
  const found = useResource(path(["workers"], { limit: 500 }), { fits: (event) => FITS.has(event.kind), everyMs: 2000 });
  const { worker: marked, span = "10m" } = route.value.query;
  const spanMs = SPANS[span] ?? SPANS["10m"];
  const ran = useLanes(spanMs);
  const ticks = spanMs / 60_000;
  return html`<section class="page"><div class="head"><div class="inline"><${Title}>${t("workers")}<//>${found.data && html`<span class="dim">${found.data.items.length}</span>`}</div></div>
    <div class="filters"><${Choice} label=${t("laneSpan")} value=${SPANS[span] ? span : "10m"} onChange=${(one) => ask({ span: one === "10m" ? "" : one })} options=${Object.keys(SPANS).map((one) => [one, t("laneLast", { text: duration(SPANS[one]) })])} />
      ${ran.lanes && html`<span class="dim">${!ran.complete && t("laneLatest", { n: ran.count })}</span> <span class="end"><button type="button" class="link" aria-pressed=${asTable} onClick=${() => setAsTable(!asTable)}>${t(asTable ? "showAsChart" : "showAsTable")}</button></span>`}</div>
    ${ran.error && html`<${Trouble} error=${ran.error} reload=${ran.reload} />`}
    <${Loaded} from=${found}>${({ items }) =>
      items.length === 0
        ? html`<p class="dim pad">${t("noWorkers")}</p>`
        : html`<table ref=${table} class="rows fixed workers"><thead><tr><th class="w-name">${t("worker")}</th><th class="w-state">${t("state")}</th><th class="w-slots">${t("slots")}</th><th class="r w-num">${t("queued")}</th><th class="r w-took">${t("heartbeat")}</th>
          <th><span class="laneaxis"><span>−${ticks} min</span><span>−${ticks / 2} min</span><span>${t("laneNow")}</span></span></th><th class="wide w-labels">${t("labels")}</th><th class="w-act"><span class="off">${t("drain")}</span></th></tr></thead>
        <tbody>${items.map((one) => html`<${Row} key=${one.id} worker=${one} pieces=${ran.lanes?.get(one.id) ?? []} spanMs=${spanMs} marked=${marked === one.id} />`)}</tbody></table>`}<//>
    ${asTable && ran.lanes && html`<${LaneTable} lanes=${ran.lanes} />`}
  </section>`;
}
