// The durations of the last tasks: each a mark, failed ones larger, p50 as a line.
import { html, useState } from "../html.js";
import { go, href } from "../router.js";
import { duration, when } from "../time.js";
import { t } from "../text.js";
import { TaskState } from "./glyph.js";
import { TaskLink } from "./basics.js";

const W = 1000;
const H = 150;
const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];

function Chart({ tasks }) {
  const sorted = tasks.map((one) => one.run_ms).sort((a, b) => a - b);
  const p50 = quantile(sorted, 0.5);
  const p90 = quantile(sorted, 0.9);
  const top = Math.max(1, sorted.at(-1)) * 1.12;
  const y = (ms) => H - (H * ms) / top;
  const x = (index) => (W * (index + 0.5)) / tasks.length;
  return html`<div class="plot durations">
    <svg viewBox="0 0 ${W} ${H}" preserveAspectRatio="none" aria-hidden="true">
      ${[0.25, 0.5, 0.75].map((one) => html`<line key=${one} class="grid" x1="0" x2=${W} y1=${H * one} y2=${H * one} />`)}
      <rect class="band" x="0" width=${W} y=${y(p90)} height=${Math.max(0, y(p50) - y(p90))} />
      <line class="p50" x1="0" x2=${W} y1=${y(p50)} y2=${y(p50)} /><line class="p90" x1="0" x2=${W} y1=${y(p90)} y2=${y(p90)} />
      <line class="axis" x1="0" x2=${W} y1=${H - 0.5} y2=${H - 0.5} />
    </svg>
    ${tasks.map((one, index) => html`<button key=${one.id} type="button" tabindex="-1" aria-hidden="true" class="dotmark s-${one.status === "failed" ? "failed" : one.status === "success" ? "success" : "skipped"} ${one.status === "failed" ? "square" : ""}"
      style=${{ left: `${x(index) / 10}%`, top: `${y(one.run_ms)}px` }} title=${`${when(one.end_time)} · ${duration(one.run_ms)}`} onClick=${() => go(href(["tasks", one.id]))}></button>`)}
    ${[0, 0.25, 0.5, 0.75].map((one) => html`<span key=${one} class="ylabel" style=${{ top: `${H * one - 8}px` }}>${duration(top * (1 - one), 1)}</span>`)}
    <div class="xlabels spread" aria-hidden="true"><span>${when(tasks[0].end_time)}</span><span>${when(tasks.at(-1).end_time)}</span></div>
  </div>`;
}

export function Durations({ tasks }) {
  const [table, setTable] = useState(false);
  const known = tasks.filter((one) => one.run_ms !== null).toReversed();
  if (known.length < 2) return null;
  const sorted = known.map((one) => one.run_ms).sort((a, b) => a - b);
  return html`<figure class="strip" aria-labelledby="durations-title">
    <figcaption><h2 id="durations-title">${t("durationChart")} <span class="dim">${t("lastTasks", { n: known.length })}</span></h2>
      <span class="legend end"><span><i class="stroke"></i> p50 <b>${duration(quantile(sorted, 0.5))}</b></span><span><i class="stroke dashed"></i> p90 <b>${duration(quantile(sorted, 0.9))}</b></span>
      <button type="button" class="link" onClick=${() => setTable(!table)}>${t(table ? "showAsChart" : "showAsTable")}</button></span></figcaption>
    ${table
      ? html`<table class="rows small"><thead><tr><th>${t("ended")}</th><th>${t("state")}</th><th class="r">${t("took")}</th></tr></thead><tbody>${known.map((one) => html`<tr key=${one.id}><td><${TaskLink} id=${one.id}>${when(one.end_time)}<//></td><td><${TaskState} status=${one.status} /></td><td class="r num">${duration(one.run_ms)}</td></tr>`)}</tbody></table>`
      : html`<${Chart} tasks=${known} />`}
  </figure>`;
}
