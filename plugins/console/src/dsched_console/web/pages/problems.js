// Problems: all that needs a person, the worst first.
import { html } from "../html.js";
import { t } from "../text.js";
import { Title, Trouble } from "../parts/basics.js";
import { State } from "../parts/glyph.js";
import { ProblemItem } from "../parts/problem.js";
import { cluster, read, trouble } from "../parts/standing.js";

export function Problems() {
  const found = cluster.value;
  return html`<section class="page"><div class="head"><div class="inline"><${Title}>${t("problems")}<//>${found && html`<span class="dim">${found.problems.length}</span>`}</div></div>
    ${trouble.value && html`<${Trouble} error=${trouble.value} reload=${read} />`}
    ${!found && !trouble.value && html`<p class="dim" aria-busy="true">${t("loading")}</p>`}
    ${found && found.problems.length === 0 && html`<p class="pad"><${State} kind="success">${t("lastProblemNever")}<//></p>`}
    <div class="needs narrow">${found?.problems.map((one) => html`<${ProblemItem} key=${one.kind + (one.config_id ?? one.worker_id)} problem=${one} />`)}</div>
  </section>`;
}
