// A limit: who holds its places and who waits, by instance; change and delete.
import { get, path } from "../api.js";
import { html, useState } from "../html.js";
import { go, href } from "../router.js";
import { count } from "../time.js";
import { t } from "../text.js";
import { Chip, Copy, Key, Loaded, shell, Title, Trouble, useRows } from "../parts/basics.js";
import { DropLimit, FITS, LimitState, mayChange, outOf, pace, Places, PutLimit } from "../parts/limits.js";
import { useResource } from "../parts/resource.js";

const PAGE = 100;
const sum = (uses) => ({ held: uses.reduce((all, one) => all + one.held, 0), waiting: uses.reduce((all, one) => all + one.waiting, 0), names: uses.length });

function Uses({ limit, uses }) {
  const table = useRows();
  if (!uses.length) return html`<p class="dim pad">${t("limitIdle")}</p>`;
  return html`<table ref=${table} class="rows limits"><thead><tr><th>${t("instance")}</th><th class="w-state">${t("state")}</th><th class="w-slots">${t("held")}</th><th class="r w-num">${t("wait")}</th></tr></thead>
    <tbody>${uses.map((one) => html`<tr key=${one.name} data-row><td class="main" dir="auto">${one.name}</td><td><${LimitState} max=${one.max_running} use=${one} /></td><td class="num"><${Places} held=${one.held} max=${one.max_running} />${one.max_running !== limit.max_running && html` <small>${t("itsOwn")}</small>`}</td><td class="r num ${one.waiting ? "s-late" : "dim"}">${count(one.waiting)}</td></tr>`)}</tbody></table>`;
}

export function LimitPage({ id }) {
  const [asked, setAsked] = useState(null);
  const [more, setMore] = useState({ uses: [], cursor: undefined, error: null });
  const found = useResource(path(["limits", id], { limit: PAGE }), { fits: (event) => FITS.has(event.kind), everyMs: 2000 });
  const load = async (cursor) => {
    try {
      const page = await get(path(["limits", id], { limit: PAGE, cursor }));
      setMore({ uses: [...more.uses, ...page.uses], cursor: page.cursor, error: null });
    } catch (error) {
      setMore({ ...more, error });
    }
  };
  const done = (changed) => {
    const gone = changed && asked === "drop";
    setAsked(null);
    if (gone) go(href(["limits"]));
    else if (changed) found.reload();
  };
  return html`<section class="page"><p class="crumbs"><a href=${href(["limits"])}>${t("limits")}</a></p>
    ${!found.data && html`<div class="head"><${Title}><bdi>${id}</bdi><//></div>`}
    <${Loaded} from=${found}>${(limit) => {
      const seen = new Set(limit.uses.map((one) => one.name));
      const uses = [...limit.uses, ...more.uses.filter((one) => !seen.has(one.name))];
      const cursor = more.cursor === undefined ? limit.cursor : more.cursor;
      const use = sum(uses);
      const full = uses.filter((one) => outOf(one.max_running, one)).length;
      return html`<div class="head"><div><div class="inline"><${Title}><bdi>${id}</bdi><//><${LimitState} max=${limit.max_running} use=${{ ...use, full }} /></div>
          <p class="sentence">${t("limitSays", { n: limit.max_running, each: !id.includes(":") && uses.some((one) => one.name !== id) })}</p>
          <p class="chips"><${Chip} name=${t("held")}>${count(use.held)}<//><${Chip} name=${t("wait")}>${count(use.waiting)}<//>${pace(limit).map((key) => html`<${Chip} key=${key} name=${t(`limit_${key}`)}>${limit[key]}<//>`)}</p></div>
        <div class="acts"><${Copy} text=${`dsched limit get ${shell(id)}`} label=${t("copyCommand")} plain />
          ${mayChange() && html`${!id.includes(":") && html`<button type="button" data-act="limit" onClick=${() => setAsked("own")}>${t("ownNumber")}</button>`}
            <button type="button" data-act="limit" onClick=${() => setAsked("drop")}>${t("limitDelete")}</button>
            <button type="button" class="primary" data-act="limit" data-key="e" onClick=${() => setAsked("put")}>${t("editMore")} <${Key}>e<//></button>`}</div></div>
        <${Uses} limit=${limit} uses=${uses} />
        ${more.error && html`<${Trouble} error=${more.error} reload=${() => load(cursor)} />`}
        ${cursor && html`<p class="pad"><button type="button" onClick=${() => load(cursor)}>${t("moreRows")}</button></p>`}
        ${asked === "put" && html`<${PutLimit} limit=${limit} use=${use} done=${done} />`}
        ${asked === "own" && html`<${PutLimit} limit=${null} of=${`${id}:`} done=${done} />`}
        ${asked === "drop" && html`<${DropLimit} limit=${limit} use=${use} done=${done} />`}`;
    }}<//></section>`;
}
