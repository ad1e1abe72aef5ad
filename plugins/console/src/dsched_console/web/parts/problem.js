// One thing that needs a person, with the two acts that fit it.
import { html } from "../html.js";
import { go, href } from "../router.js";
import { duration, now } from "../time.js";
import { t } from "../text.js";
import { ActButton } from "./acts.js";
import { Ago, ConfigLink } from "./basics.js";
import { Glyph } from "./glyph.js";

const KINDS = { failing: "failed", missed: "missed", late: "late", worker: "late" };

function headline({ kind, count, more, since }) {
  if (kind === "failing") return t("failedInRow", { n: count, more });
  if (kind === "missed") return t("missedN", { n: count });
  if (kind === "late") return t("overdue");
  return t("silent", { text: duration(Math.max(0, now.value - Date.parse(since)), 1) });
}

function Acts({ problem }) {
  const { kind, config_id: config, task_id: task, worker_id: worker } = problem;
  const why = html`<a class="button small" href=${href(["configs", config ?? ""], { tab: "why", at: problem.since })}>${t("why")}</a>`;
  if (kind === "failing")
    return html`<${ActButton} kind="retry" ids=${[task]} label=${t("retryMore")} small after=${(made) => go(href(["tasks", made.id]))} />
      <a class="button small" href=${href(["tasks", task])}>${t("logs")}</a>`;
  if (kind === "worker") return html`<a class="button small" href=${href(["workers"], { worker })}>${t("openWorker")}</a>
      <${ActButton} kind="drain" ids=${[worker]} label=${t("drainMore")} small />`;
  return html`<${ActButton} kind="trigger" ids=${[config]} label=${t("triggerMore")} small />${why}`;
}

export function ProblemItem({ problem }) {
  const shape = KINDS[problem.kind] ?? "late";
  return html`<article class="problem">
    <${Glyph} kind=${shape} />
    <div><p class="line">${problem.config_id ? html`<${ConfigLink} id=${problem.config_id} />` : html`<b dir="auto">${problem.worker_id}</b>`}
      <span class="s-${shape}">${headline(problem)}</span>
      <span class="end dim"><${Ago} at=${problem.since} short /></span></p>
      ${problem.detail && html`<p class="mono detail" dir="auto">${problem.detail}</p>`}
      <div class="acts"><${Acts} problem=${problem} /></div>
    </div>
  </article>`;
}
