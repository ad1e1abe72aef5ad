// The strip of a day: hours that were, stacked by outcome; hours to come, outlined.
import { html, useState } from "../html.js";
import { clock, count, day, now, when } from "../time.js";
import { t } from "../text.js";
import { Glyph } from "./glyph.js";

const HEIGHT = 110;
const nice = (most) => {
  const step = 10 ** Math.floor(Math.log10(Math.max(1, most / 3)));
  const found = [1, 2, 5, 10].map((one) => one * step).find((one) => one * 3 >= most) ?? step * 10;
  return Math.max(1, found);
};

function Bars({ hours, top, nowMs, step, zone }) {
  const width = 1000 / hours.length;
  const y = (value) => (HEIGHT * value) / top;
  const first = Date.parse(hours[0].start);
  const x = ((nowMs - first) / 3_600_000) * width;
  return html`<div class="plot">
    <svg viewBox="0 0 1000 ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true">
      ${[1, 2, 3].map((n) => html`<line key=${n} class="grid" x1="0" x2="1000" y1=${HEIGHT - y(n * step)} y2=${HEIGHT - y(n * step)} />`)}
      ${hours.map((one, index) => {
        const left = index * width + width * 0.09;
        const wide = width * 0.82;
        let base = HEIGHT;
        const part = (kind, value) => {
          if (!value) return null;
          const high = Math.max(kind === "success" ? 1 : 2, y(value));
          base -= high;
          return html`<rect class="f-${kind}" x=${left} width=${wide} y=${base} height=${high} />`;
        };
        return html`<g key=${one.start}>${part("success", one.success)}${part("skipped", one.cancelled)}${part("failed", one.failed)}
          ${one.due > 0 && html`<rect class="f-due" x=${left} width=${wide} y=${base - Math.max(2, y(one.due))} height=${Math.max(2, y(one.due))} />`}</g>`;
      })}
      <line class="axis" x1="0" x2="1000" y1=${HEIGHT - 0.5} y2=${HEIGHT - 0.5} />
      <line class="nowline" x1=${x} x2=${x} y1="0" y2=${HEIGHT} />
    </svg>
    ${[1, 2, 3].map((n) => html`<span key=${n} class="ylabel" style=${{ bottom: `${y(n * step)}px` }}>${count(n * step)}</span>`)}
    ${hours.map((one, index) => one.missed > 0 && html`<span key=${one.start} class="mark" style=${{ left: `${(index + 0.5) * (100 / hours.length)}%`, bottom: `${Math.min(HEIGHT - 12, y(one.success + one.failed) + 6)}px` }}><${Glyph} kind="missed" label=${t("missedN", { n: one.missed })} /></span>`)}
    <div class="xlabels" aria-hidden="true">${hours.map((one, index) => {
      if (index % 2 || Math.abs(index * width - x) < 38) return null;
      const text = clock(one.start, zone, true);
      return html`<span key=${one.start} style=${{ left: `${index * (100 / hours.length)}%` }} class=${`${text === "00:00" ? "day" : ""} ${Math.abs(index * width - x) < 130 ? "near" : ""}`}>${text === "00:00" ? day(one.start, zone) : text.slice(0, 2)}</span>`;
    })}<span class="nowchip" style=${{ left: `${x / 10}%` }}>${clock(nowMs, zone, true)}</span></div>
  </div>`;
}

export function Strip({ found, zone }) {
  const [table, setTable] = useState(false);
  const { hours } = found;
  const most = Math.max(1, ...hours.map((one) => one.success + one.failed + one.cancelled + one.due));
  const step = nice(most);
  return html`<figure class="strip" aria-labelledby="strip-title">
    <figcaption><h2 id="strip-title">${t("hours24")} <span class="dim">${t("perHour")}</span></h2>
      <span class="legend end">${["success", "failed", "missed", "due"].map((one) => html`<span key=${one}><${Glyph} kind=${one} /> ${t(one)}</span>`)}
      <button type="button" class="link" onClick=${() => setTable(!table)}>${t(table ? "showAsChart" : "showAsTable")}</button></span>
    </figcaption>
    ${table
      ? html`<table class="rows small"><thead><tr><th>${t("hour")}</th>${["success", "failed", "cancelled", "missed", "due"].map((one) => html`<th key=${one} class="r">${t(one)}</th>`)}</tr></thead>
        <tbody>${hours.map((one) => html`<tr key=${one.start}><td>${when(one.start, zone)}</td>${["success", "failed", "cancelled", "missed", "due"].map((kind) => html`<td key=${kind} class="r num">${count(one[kind])}</td>`)}</tr>`)}</tbody></table>`
      : html`<${Bars} hours=${hours} top=${step * 3.3} nowMs=${now.value} step=${step} zone=${zone} />`}
    ${!found.hours_complete && html`<p class="dim">${t("tooMany")}</p>`}
  </figure>`;
}
