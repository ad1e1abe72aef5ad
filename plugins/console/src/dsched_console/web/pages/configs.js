// Configs: one line each, what it says in words, its last tasks, and acts over a selection.
import { path } from "../api.js";
import { html, useState } from "../html.js";
import { ask, href, route } from "../router.js";
import { duration } from "../time.js";
import { t } from "../text.js";
import { words } from "../words.js";
import { act, ActButton, mayAct } from "../parts/acts.js";
import { Ago, At, Choice, ConfigLink, Key, Loaded, TaskLink, Title, useRows } from "../parts/basics.js";
import { Glyph, State, STATES, statusWord } from "../parts/glyph.js";
import { Icon } from "../parts/icons.js";
import { PickConfig } from "../parts/pick.js";
import { useList } from "../parts/resource.js";
import { cluster } from "../parts/standing.js";

const PAGE = 50;
const RECENT = 30;

/** What a config's line says of it: [glyph, text key]. */
export function stateOf(config, late) {
  if (config.orphaned) return ["paused", "orphaned"];
  if (config.paused) return ["paused", "paused"];
  if (!config.enabled) return ["skipped", "disabled"];
  if (late) return ["late", "late"];
  if (config.recent?.[0]?.status === "failed") return ["failed", "failing"];
  return ["active", "active"];
}

export function Origin({ config }) {
  const [kind] = config.origin.split(":");
  return html`<span class="dim origin" title=${config.origin}>${kind}${kind !== "api" && html` <${Icon} name="lock" />`}</span>`;
}

/** The last tasks, oldest first: height is duration, shape is outcome. */
export function Bars({ recent }) {
  const longest = Math.max(1, ...recent.map((one) => one.run_ms ?? 0));
  const failed = recent.filter((one) => one.status === "failed").length;
  return html`<svg class="bars" viewBox="0 0 120 22" width="120" height="22" role="img" aria-label=${`${t("lastTasks", { n: recent.length })}; ${t("failed")}: ${failed}`}>
    ${recent.toReversed().map((one, index) => {
      const x = (RECENT - recent.length + index) * 4;
      if (one.status === "failed") return html`<rect key=${one.id} class="f-failed" x=${x} y="1" width="3" height="21" />`;
      if (one.status === "cancelled") return html`<rect key=${one.id} class="f-skipped" x=${x} y="19" width="3" height="1.5" />`;
      const high = 3 + (13 * (one.run_ms ?? 0)) / longest;
      return html`<rect key=${one.id} class="f-success" x=${x} y=${22 - high} width="2" height=${high} />`;
    })}
  </svg>`;
}

function successOf(recent) {
  const ended = recent.filter((one) => one.status !== "cancelled");
  if (!ended.length) return null;
  return (100 * ended.filter((one) => one.status === "success").length) / ended.length;
}

function Row({ config, late, chosen, choose }) {
  const said = words(config.spec);
  const [glyph, word] = stateOf(config, late);
  const recent = config.recent ?? [];
  const last = recent[0];
  const rate = successOf(recent);
  return html`<tr data-row class=${chosen ? "chosen" : ""}>
    ${mayAct("trigger") && html`<td class="w-check"><label class="check"><input type="checkbox" checked=${chosen} onChange=${choose} aria-label=${t("selectOne", { name: config.id })} /></label></td>`}
    <td class="main"><${ConfigLink} id=${config.id} /></td>
    <td><${State} kind=${glyph}>${t(word)}<//></td>
    <td class="words"><span title=${said.text}>${said.text}</span> <span class="dim">${said.zone}</span></td>
    <td class="r num">${config.paused ? html`<span class="dim">${t("paused")}</span>` : html`<${At} at=${config.due} own=${config.spec.timezone} />`}</td>
    <td class="num clip whypaused">${config.paused ? html`<span class="dim" dir="auto" title=${config.paused.why}>${config.paused.why}</span>` : html`<${Ago} at=${config.due} />`}</td>
    <td class="num">${last && html`<${Glyph} kind=${STATES[last.status]} label=${statusWord(last.status)} /> <${TaskLink} id=${last.id}>${duration(last.run_ms)}<//>`}</td>
    <td class="wide">${recent.length > 0 && html`<${Bars} recent=${recent} />`}</td>
    <td class="r num ${rate !== null && rate < 95 ? "bad" : ""}">${rate === null ? "" : `${rate.toFixed(rate === 100 ? 0 : 1)} %`}</td>
    <td class="wide dim" dir="auto">${config.spec.owner ?? ""}</td>
    <td><${Origin} config=${config} /></td>
  </tr>`;
}

function Selection({ chosen, clear }) {
  if (!chosen.length) return null;
  return html`<div class="selection" role="region" aria-label=${t("selected", { n: chosen.length })}>
    <b>${t("selected", { n: chosen.length })}</b>
    <${ActButton} kind="trigger" ids=${chosen} label=${t("triggerMore")} small after=${clear} />
    <${ActButton} kind="pause" ids=${chosen} label=${t("pauseMore")} small after=${clear} />
    <${ActButton} kind="resume" ids=${chosen} label=${t("resume")} small after=${clear} />
    <button type="button" class="tool" aria-label=${t("clearSelection")} onClick=${clear}><${Icon} name="close" /></button>
  </div>`;
}

const FITS = new Set(["config", "completed", "fired"]);

export function Configs() {
  const { q = "", state = "all" } = route.value.query;
  const [chosen, setChosen] = useState([]);
  const [picking, setPicking] = useState(false);
  const table = useRows();
  const list = useList((more) => path(["configs"], { limit: PAGE, recent: RECENT, ...more }), {
    fits: (event) => FITS.has(event.kind),
    everyMs: 10_000,
  });
  const late = new Set((cluster.value?.problems ?? []).filter((one) => one.kind === "late").map((one) => one.config_id));
  const wanted = q.toLowerCase();
  const all = list.data ?? [];
  const kindOf = (one) => stateOf(one, late.has(one.id))[1];
  const text = (one) => `${one.id} ${one.name} ${words(one.spec).text} ${one.spec.owner ?? ""}`.toLowerCase();
  const shown = all.filter((one) => (state === "all" || kindOf(one) === state) && text(one).includes(wanted));
  const number = (kind) => all.filter((one) => kindOf(one) === kind).length;
  const picked = chosen.filter((id) => shown.some((one) => one.id === id));
  const total = cluster.value?.configs;
  const every = shown.length > 0 && picked.length === shown.length;
  return html`<section class="page">
    <div class="head"><div class="inline"><${Title}>${t("configs")}<//>
      ${total && html`<span class="dim">${t("configsSub", { n: total.total, active: total.total - total.paused - total.disabled, paused: total.paused })}</span>`}</div>
      ${mayAct("trigger") && html`<div class="acts"><button type="button" data-key="t" onClick=${() => (picked.length ? act("trigger", picked) : setPicking(true))}>${t("triggerMore")} <${Key}>t<//></button>${mayAct("pause") && html`<a class="button primary" data-key="n" data-act="put" href=${href(["new"])}>${t("newConfig")} <${Key}>n<//></a>`}</div>`}
    </div>
    <div class="filters">
      <input type="search" aria-label=${t("filterConfigs")} placeholder=${t("filterConfigs")} value=${q} onInput=${(event) => ask({ q: event.target.value })} />
      <${Choice} label=${t("state")} value=${state} onChange=${(one) => ask({ state: one === "all" ? "" : one })}
        options=${[["all", `${t("all")} ${all.length}`], ["late", html`<${State} kind="late">${t("late")} ${number("late")}<//>`], ["failing", html`<${State} kind="failed">${t("failing")} ${number("failing")}<//>`], ["paused", html`<${State} kind="paused">${t("paused")} ${number("paused")}<//>`]]} />
    </div>
    <${Loaded} from=${list}>${() =>
      shown.length === 0
        ? html`<p class="dim pad">${t(all.length ? "nothingMatches" : "noConfigs")}</p>`
        : html`<table ref=${table} class="rows configs">
        <thead><tr>
          ${mayAct("trigger") && html`<th class="w-check"><label class="check"><input type="checkbox" checked=${every} aria-label=${t("selectAll")} onChange=${() => setChosen(every ? [] : shown.map((one) => one.id))} /></label></th>`}
          <th>${t("name")}</th><th class="w-state">${t("state")}</th><th>${t("fires")}</th><th class="r w-at">${t("next")}</th><th class="w-ago"><span class="off">${t("next")}</span></th><th class="w-took">${t("lastTask")}</th><th class="wide w-bars">${t("last30")}</th><th class="r w-rate">${t("successRate")}</th><th class="wide w-owner">${t("owner")}</th><th class="w-origin">${t("origin")}</th>
        </tr></thead>
        <tbody>${shown.map((one) => html`<${Row} key=${one.id} config=${one} late=${late.has(one.id)} chosen=${chosen.includes(one.id)}
          choose=${() => setChosen(chosen.includes(one.id) ? chosen.filter((id) => id !== one.id) : [...chosen, one.id])} />`)}</tbody>
      </table>`}<//>
    ${list.more && html`<p class="pad"><button type="button" onClick=${list.more}>${t("moreRows")}</button></p>`}
    <div class="selection-space"></div>
    <${Selection} chosen=${picked} clear=${() => setChosen([])} />
    ${picking && html`<${PickConfig} done=${(id) => { setPicking(false); if (id) act("trigger", [id]); }} />`}
  </section>`;
}
