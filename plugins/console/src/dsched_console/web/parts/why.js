// Why: one verdict, and then what it follows from, in order.
import { path } from "../api.js";
import { html } from "../html.js";
import { ask } from "../router.js";
import { when } from "../time.js";
import { t } from "../text.js";
import { At, Loaded } from "./basics.js";
import { Glyph } from "./glyph.js";
import { useResource } from "./resource.js";

const SHAPES = { fired: "success", skipped: "skipped", missed: "missed", failed: "failed", success: "success", running: "running", waiting: "waiting", late: "late", cancelled: "skipped" };

const INSTANT = /(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)/;

/** A sentence of the API with its instants in the reader's zone. */
const Sentence = ({ text }) =>
  text.split(INSTANT).map((part, index) => (index % 2 ? html`<${At} key=${index} at=${part} />` : part));

export function useWhy(of, id, at) {
  return useResource(path([of, id, "why"], { at }), {
    fits: (event) => event.items?.some((one) => one.task === id || one.config === id || one.task?.startsWith(`${id}@`)),
    everyMs: 3000,
  });
}

export function Why({ from: found, steer }) {
  return html`<section class="why" aria-labelledby="why-title">
    <h2 id="why-title">${t("why")} ${found.data && html`<span class="dim"><${At} at=${found.data.at} /></span>`}</h2>
    <${Loaded} from=${found}>${(why) => html`
      ${steer && html`<p class="steer">
        ${why.neighbours.before && html`<button type="button" class="small" onClick=${() => ask({ at: why.neighbours.before })}>‹ ${when(why.neighbours.before)}</button>`}
        ${why.neighbours.after && html`<button type="button" class="small" onClick=${() => ask({ at: why.neighbours.after })}>${when(why.neighbours.after)} ›</button>`}
      </p>`}
      <p class="verdict"><${Glyph} kind=${SHAPES[why.task?.status] ?? SHAPES[why.verdict] ?? "active"} label=${why.verdict} /> <b dir="auto"><${Sentence} text=${why.summary} /></b></p>
      <ol class="because">${why.because.map((one, index) => html`<li key=${index} dir="auto"><${Sentence} text=${one} /></li>`)}</ol>
    `}<//>
  </section>`;
}
