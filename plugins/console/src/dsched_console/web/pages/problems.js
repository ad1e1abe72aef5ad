// Problems: all that needs a person, the worst first; then what has failed, in groups.
import { path } from "../api.js";
import { html } from "../html.js";
import { ask, href, route } from "../router.js";
import { relative } from "../time.js";
import { t } from "../text.js";
import { Ago, At, Choice, ConfigLink, Loaded, Title, useRows } from "../parts/basics.js";
import { Glyph, State } from "../parts/glyph.js";
import { ProblemItem } from "../parts/problem.js";
import { useResource } from "../parts/resource.js";

const HOURS = ["1", "24", "168"];
const FITS = new Set(["completed", "missed", "config", "worker", "leader", "leaderless"]);

function Groups({ found }) {
  const table = useRows();
  if (!found.groups.length) return html`<p class="dim pad">${t("noFailures")}</p>`;
  return html`<table ref=${table} class="rows fixed"><thead><tr><th class="w-owner r">${t("count")}</th><th class="w-finish">${t("config")}</th><th>${t("whatItSays")}</th><th class="w-at">${t("firstTime")}</th><th class="w-at">${t("lastTime")}</th><th class="w-ago"><span class="off">${t("lastTime")}</span></th><th class="w-num"><span class="off">${t("logs")}</span></th></tr></thead>
    <tbody>${found.groups.map((one) => html`<tr key=${one.task_id} data-row><td class="r num"><${Glyph} kind="failed" label=${t("failed")} /> ${one.count}</td><td class="main">${one.config_id ? html`<${ConfigLink} id=${one.config_id} />` : html`<span class="dim">${t("withoutConfig")}</span>`}</td>
      <td class="mono clip" dir="auto" title=${one.line}>${one.line}</td><td class="num dim"><${At} at=${one.first} /></td><td class="num"><${At} at=${one.last} /></td><td class="num"><${Ago} at=${one.last} short /></td><td class="r"><a class="button small" href=${href(["tasks", one.task_id])}>${t("logs")}</a></td></tr>`)}</tbody></table>
    ${!found.complete && html`<p class="dim pad">${t("moreFailed")}</p>`}`;
}

function Orphans({ orphans }) {
  return html`<section aria-labelledby="orphans-title"><h2 id="orphans-title">${t("orphans")} <span class="dim">${orphans.length}</span></h2><p class="dim">${t("orphansMean")}</p>
    <table class="rows"><thead><tr><th>${t("config")}</th><th>${t("origin")}</th><th>${t("since")}</th><th>${t("reason")}</th></tr></thead>
    <tbody>${orphans.map((one) => html`<tr key=${one.config_id}><td class="main"><${ConfigLink} id=${one.config_id} /></td><td class="dim" dir="auto">${one.origin}</td><td class="num"><${At} at=${one.since} /></td><td class="dim" dir="auto">${one.why}</td></tr>`)}</tbody></table></section>`;
}

export function Problems() {
  const { hours = "24" } = route.value.query;
  const chosen = HOURS.includes(hours) ? hours : "24";
  const found = useResource(path(["problems"], { hours: chosen }), { fits: (event) => FITS.has(event.kind), everyMs: 10_000 });
  return html`<section class="page"><div class="head"><div class="inline"><${Title}>${t("problems")}<//>${found.data && html`<span class="dim">${found.data.problems.length}</span>`}</div></div>
    <${Loaded} from=${found}>${(data) => html`
      ${data.problems.length === 0 && html`<p class="calm"><${State} kind="success">${t("nothingNeedsYou")}<//> ${data.last_problem && html`<span class="dim">${t("lastProblem", { text: relative(data.last_problem, true) })}</span>`}</p>`}
      <div class="needs wide-needs">${data.problems.map((one) => html`<${ProblemItem} key=${one.kind + (one.config_id ?? one.worker_id)} problem=${one} />`)}</div>
      <section aria-labelledby="groups-title"><div class="grouphead"><h2 id="groups-title">${t("failures")} <span class="dim">${data.groups.reduce((sum, one) => sum + one.count, 0)}</span></h2>
        <${Choice} label=${t("timeWindow")} value=${chosen} onChange=${(one) => ask({ hours: one === "24" ? "" : one })} options=${HOURS.map((one) => [one, t(`hours_${one}`)])} /></div>
        <${Groups} found=${data} /></section>
      ${data.orphans.length > 0 && html`<${Orphans} orphans=${data.orphans} />`}`}<//>
  </section>`;
}
