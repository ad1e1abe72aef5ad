// Slots by cell of time against those that there are: measured where it is over, expected where it is not.
import { html } from "../html.js";
import { t } from "../text.js";

const HIGH = 88;
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
const nice = (top) => STEPS.findLast((one) => one * 2 <= top) ?? 1;
const bars = (cells, y) => cells.map(([at, value]) => `M${at + 0.1} ${HIGH}v${-Math.max(1, y(value))}h.8V${HIGH}z`).join("");

/** `upto` is the cell of this moment: what comes before it is over. */
export function LoadChart({ load, upto, at, choose, label, worstText }) {
  const { cells, capacity } = load;
  const top = Math.max(capacity, 1, ...cells.map((one) => one.slots ?? 0)) * 1.12;
  const step = nice(top);
  const y = (value) => (HIGH * value) / top;
  const known = cells.map((one, index) => [index, one.slots ?? 0, one.coarse]).filter((one) => one[1] > 0);
  const of = (fits) => bars(known.filter(fits), y);
  const over = (one) => capacity > 0 && one[0] >= upto && one[1] > capacity;
  const worst = known.filter(over).reduce((most, one) => (one[1] > (most?.[1] ?? 0) ? one : most), null);
  const lines = [1, 2, 3, 4].filter((n) => y(n * step) < HIGH - 4);
  const pick = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    choose(Math.max(0, Math.min(cells.length - 1, Math.floor(((event.clientX - box.left) / box.width) * cells.length))));
  };
  return html`<div class="loadchart" onClick=${pick}>
    <svg viewBox="0 0 ${cells.length} ${HIGH}" preserveAspectRatio="none" aria-hidden="true">
      ${lines.map((n) => html`<line key=${n} class="grid" x1="0" x2=${cells.length} y1=${HIGH - y(n * step)} y2=${HIGH - y(n * step)} />`)}
      ${at !== null && html`<rect class="picked" x=${at} width="1" y="0" height=${HIGH} />`}
      <path class="f-average" d=${of((one) => one[0] < upto && one[2])} /><path class="f-running" d=${of((one) => one[0] < upto && !one[2])} />
      <path class="f-expected" d=${of((one) => one[0] >= upto && !over(one))} /><path class="f-failed" d=${of(over)} />
      ${capacity > 0 && html`<line class="capacity" x1="0" x2=${cells.length} y1=${HIGH - y(capacity)} y2=${HIGH - y(capacity)} />`}
      <line class="axis" x1="0" x2=${cells.length} y1=${HIGH - 0.5} y2=${HIGH - 0.5} />
    </svg>
    ${lines.map((n) => html`<span key=${n} class="yleft" style=${{ bottom: `${y(n * step) - 8}px` }}>${n * step}</span>`)}
    ${capacity > 0 && html`<span class="caplabel" style=${{ bottom: `${Math.min(HIGH - 4, y(capacity)) + 1}px` }}>${label ?? t("capacityN", { n: capacity })}</span>`}
    ${worst && html`<span class="worst" style=${{ [worst[0] < cells.length / 2 ? "left" : "right"]: worst[0] < cells.length / 2 ? `${(100 * (worst[0] + 1.6)) / cells.length}%` : `${100 - (100 * (worst[0] - 0.6)) / cells.length}%` }}>${worstText?.(worst) ?? ""}</span>`}
  </div>`;
}
