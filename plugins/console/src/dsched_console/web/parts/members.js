// Members of a run as a table: status, worker, times and code of each.
import { path } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { listen } from "../live.js";
import { ask, route } from "../router.js";
import { duration, now } from "../time.js";
import { t } from "../text.js";
import { At, Loaded, TaskLink, useRows, WorkerLink } from "./basics.js";
import { TaskState } from "./glyph.js";
import { useList } from "./resource.js";
import { placeText } from "./steps.js";

const PAGE = 100; // rows in the page: a click on all of them is answered at once

/** How often something was heard of what is listed since it was read: it waits until the reader wants it. */
function useNews(fits, key) {
  const [news, setNews] = useState(0);
  useEffect(() => {
    setNews(0);
    return listen((event) => {
      if (fits(event)) setNews((was) => was + event.items.filter((one) => fits({ items: [one] })).length);
    });
  }, [key]);
  return [news, () => setNews(0)];
}

/** Members of the run `id`, of one step or all, in one state or any; `codes` has the code of each that has ended, by id, and `fits` says which events are about them. */
export function Members({ id, step, only, codes, fits }) {
  const table = useRows();
  const list = useList((more) => path(["tasks", id, "run", "members"], { step, state: only, limit: PAGE, ...more }));
  const [news, seen] = useNews(fits, `${id} ${step} ${only}`);
  const refresh = () => {
    seen();
    list.reload();
  };
  const all = list.data ?? [];
  const from = Math.max(0, Math.min(Number(route.value.query.start) || 0, Math.max(0, all.length - 1)));
  const shown = all.slice(from, from + PAGE);
  const turn = (to) => ask({ start: String(to) });
  return html`<p class="newslot">${news > 0 && html`<button type="button" class="small" onClick=${refresh}>${t("changesN", { n: news })}</button>`}</p><${Loaded} from=${list}>${() => shown.length === 0
    ? html`<p class="dim pad">${t("nothingMatches")}</p>`
    : html`<table ref=${table} class="rows small fixed members"><thead><tr><th class="w-state">${t("state")}</th><th>${t("member")}</th><th class="w-at">${t("started")}</th><th class="r w-took">${t("took")}</th><th class="r w-num">${t("attempt")}</th><th class="w-worker">${t("worker")}</th><th class="w-code">${t("code")}</th><th class="wide">${t("note")}</th></tr></thead>
      <tbody>${shown.map((one) => {
        const end = one.end_time ? Date.parse(one.end_time) : now.value;
        return html`<tr key=${one.id} data-row><td><${TaskState} status=${one.status} /></td><td class="main"><${TaskLink} id=${one.id}>${placeText(one.id)}<//>${one.run_id !== id && html` <span class="dim">${t("taken")}</span>`}</td>
          <td class="num"><${At} at=${one.start_time} /></td><td class="r num">${one.start_time ? duration(Math.max(0, end - Date.parse(one.start_time))) : ""}</td><td class="r num">${one.attempt || ""}</td><td><${WorkerLink} id=${one.worker_id} /></td><td class="clip">${codes.get(one.id) && html`<code>${codes.get(one.id)}</code>`}</td><td class="wide dim clip" dir="auto" title=${one.error || one.reason}>${(one.error || one.reason).trim().split("\n").at(-1)}</td></tr>`;
      })}</tbody></table>
      <p class="pad acts">${from > 0 && html`<button type="button" class="small" onClick=${() => turn(Math.max(0, from - PAGE))}>‹ ${PAGE}</button>`}
        ${from + PAGE < all.length && html`<button type="button" class="small" onClick=${() => turn(from + PAGE)}>${PAGE} ›</button>`}
        ${from + PAGE >= all.length && list.more && html`<button type="button" class="small" onClick=${async () => { await list.more(); turn(from + PAGE); }}>${t("moreRows")}</button>`}</p>`}<//>`;
}
