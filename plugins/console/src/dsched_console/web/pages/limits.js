// Limits and calendars: what is full and who waits; which days configs leave out, or keep to.
import { path } from "../api.js";
import { html, useState } from "../html.js";
import { ask, href, route } from "../router.js";
import { addDays, count, dateOf, dateText, now } from "../time.js";
import { t } from "../text.js";
import { mayAct } from "../parts/acts.js";
import { Choice, ConfigLink, Key, Loaded, Title, useRows } from "../parts/basics.js";
import { State } from "../parts/glyph.js";
import { useList } from "../parts/resource.js";
import { FITS, LimitState, mayChange, pace, Places, PutLimit } from "../parts/limits.js";

const FULLEST = 3;
const VIEWS = { all: () => true, waits: (one) => one.use.waiting > 0, full: (one) => one.use.full > 0 };

function Fullest({ limit }) {
  const { use } = limit;
  if (use.names === 0) return "";
  if (use.names === 1 && use.fullest[0].name === limit.id) return "";
  return html`<span class="clip fullest">${use.fullest.map((one) => html`<span key=${one.name} class="chip" dir="auto"><span class="dim">${one.name.slice(one.name.indexOf(":") + 1)}</span> <b>${limit.max_running === null ? one.held : `${one.held} / ${limit.max_running}`}</b>${one.waiting > 0 && html` <span class="s-late">${t("waitN", { n: one.waiting })}</span>`}</span> `)}
    ${use.names > use.fullest.length && html`<span class="dim">+ ${count(use.names - use.fullest.length)}</span>`}</span>`;
}

function Row({ limit, edit }) {
  const { use } = limit;
  const many = use.names > 1 || use.fullest.some((one) => one.name !== limit.id);
  return html`<tr data-row>
    <td class="main clip"><a class="name" href=${href(["limits", limit.id])} dir="auto">${limit.id}</a></td>
    <td><${LimitState} max=${limit.max_running} use=${use} /></td>
    <td class="r num">${limit.max_running === null ? "" : count(limit.max_running)} ${pace(limit).map((key) => html`<small key=${key}>${t(`limit_${key}_short`, { text: limit[key] })}</small> `)}</td>
    <td class="num">${many ? html`${count(use.held)} <span class="dim">${t("overInstances", { n: use.names })}</span>` : html`<${Places} held=${use.held} max=${limit.max_running} />`}</td>
    <td class="r num ${use.waiting ? "s-late" : "dim"}">${count(use.waiting)}${!use.complete && html` <span title=${t("limitPart")}>+</span>`}</td>
    <td class="wide"><${Fullest} limit=${limit} /></td>
    <td class="r">${mayChange() && html`<button type="button" class="small" data-act="limit" onClick=${edit} aria-label=${t("limitChange", { name: limit.id })}>${t("editMore")}</button>`}</td>
  </tr>`;
}

function Limits() {
  const table = useRows();
  const [asked, setAsked] = useState(null);
  const list = useList((more) => path(["limits"], { limit: 100, uses: FULLEST, ...more }), { fits: (event) => FITS.has(event.kind), everyMs: 5000 });
  const done = (changed) => {
    setAsked(null);
    if (changed) list.reload();
  };
  const all = list.data ?? [];
  const waiting = all.reduce((sum, one) => sum + one.use.waiting, 0);
  const { state = "all" } = route.value.query;
  const chosen = VIEWS[state] ? state : "all";
  const shown = all.filter(VIEWS[chosen]);
  return html`${mayChange() && html`<span hidden data-key="n" onClick=${() => setAsked({})}></span>`}
    <${Loaded} from=${list}>${() => html`
      <p class="answer">${all.length === 0 ? html`<span class="dim">${t("noLimits")}</span>` : html`<${State} kind=${waiting ? "late" : "success"}>${waiting ? t("tasksWaitUnder", { n: waiting, of: all.filter((one) => one.use.waiting).length }) : t("noneWaitUnder")}<//>`}
        ${all.length > 0 && html`<span class="end"><${Choice} label=${t("state")} value=${chosen} onChange=${(one) => ask({ state: one === "all" ? "" : one })} options=${Object.entries(VIEWS).map(([name, fits]) => [name, `${t(`limits_${name}`)} ${all.filter(fits).length}`])} /></span>`}
        ${mayChange() && html`<button type="button" class="primary" data-act="limit" onClick=${() => setAsked({})}>${t("newLimit")} <${Key}>n<//></button>`}</p>
      ${all.length > 0 && shown.length === 0 && html`<p class="dim pad">${t("nothingMatches")}</p>`}
      ${shown.length > 0 && html`<table ref=${table} class="rows fixed limits"><thead><tr><th>${t("limit")}</th><th class="w-state">${t("state")}</th><th class="r w-most">${t("atMost")}</th><th class="w-slots">${t("held")}</th><th class="r w-num">${t("wait")}</th><th class="wide">${t("fullest")}</th><th class="w-num"><span class="off">${t("edit")}</span></th></tr></thead>
        <tbody>${shown.map((one) => html`<${Row} key=${one.id} limit=${one} edit=${() => setAsked({ limit: one })} />`)}</tbody></table>`}
      ${list.more && html`<p class="pad"><button type="button" onClick=${list.more}>${t("moreRows")}</button></p>`}`}<//>
    ${asked && html`<${PutLimit} limit=${asked.limit ?? null} use=${asked.limit?.use} done=${done} />`}`;
}

const ORDER = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/** Weekdays in words; three and more in a row as a span. */
function weekdays(days) {
  const names = t("weekdayNames").split(" ");
  const name = (day) => names[(ORDER.indexOf(day) + 1) % 7];
  const row = days.every((day, index) => index === 0 || ORDER.indexOf(day) === ORDER.indexOf(days[index - 1]) + 1);
  return row && days.length > 2 ? t("fromTo", { from: name(days[0]), to: name(days.at(-1)) }) : days.map(name).join(", ");
}

/** A date, or a range of them, whose year is said once. */
const when = ({ first, last }) => (first === last ? dateText(first) : `${dateText(first, first.slice(0, 4) !== last.slice(0, 4))} – ${dateText(last)}`);

function Users({ ids, all }) {
  if (!all) return "";
  return html`${ids.slice(0, 3).map((id) => html`<${ConfigLink} key=${id} id=${id} /> `)}${all > 3 && html`<span class="dim">+ ${all - 3}</span>`}`;
}

function Edit({ calendar }) {
  const ids = [...new Set([...calendar.skip, ...calendar.only])];
  return html`<details class="copyas"><summary aria-label=${t("editCalendar", { name: calendar.name })}>${t("editMore")}</summary><div><small>${t("daysOfConfig")}</small>${ids.map((id) => html`<a key=${id} data-act="put" dir="auto" href=${href(["configs", id, "edit"])}>${id}</a>`)}</div></details>`;
}

function Calendar({ calendar: one }) {
  const today = dateOf(now.value, "UTC");
  const [next, ...more] = one.coming;
  return html`<tr data-row>
    <td class="main clip" dir="auto" title=${one.name}>${one.name}</td>
    <td class="clip">${[one.weekdays.length > 0 && weekdays(one.weekdays), one.dates > 0 && t("dates", { n: one.dates })].filter(Boolean).join("; ")}</td>
    <td class="clip" title=${one.coming.map((day) => `${when(day)} ${day.name}`).join("\n")}>${next && html`<span class=${next.first <= addDays(today, 1) ? "s-paused" : ""}>${when(next)}</span> <span class="dim" dir="auto">${next.name}</span>${more.length > 0 && html` <span class="dim">+ ${more.length}</span>`}`}</td>
    <td>${one.until && (one.ending ? html`<${State} kind="late">${t(one.until < today ? "endedOn" : "endsOn", { date: dateText(one.until) })}<//>` : html`<span class="dim">${dateText(one.until)}</span>`)}</td>
    <td class="clip"><${Users} ids=${one.skip} all=${one.skipped_by} /></td>
    <td class="clip"><${Users} ids=${one.only} all=${one.only_for} /></td>
    <td class="r">${mayAct("pause") && html`<${Edit} calendar=${one} />`}</td>
  </tr>`;
}

function Calendars() {
  const table = useRows();
  const list = useList((more) => path(["calendars"], { limit: 100, ...more }), { fits: (event) => event.kind === "config", everyMs: 10_000 });
  return html`<${Loaded} from=${list}>${(items) => html`
    ${items.length === 0
      ? html`<p class="dim pad">${t("noCalendars")}</p>`
      : html`<table ref=${table} class="rows fixed calendars"><thead><tr><th>${t("calendarName")}</th><th class="w-days">${t("days")}</th><th class="w-dates">${t("nextDays")}</th><th class="w-ends">${t("lastDay")}</th><th>${t("leftOutBy")}</th><th>${t("onlyFor")}</th><th class="w-num"><span class="off">${t("edit")}</span></th></tr></thead>
      <tbody>${items.map((one) => html`<${Calendar} key=${`${one.name} ${one.until} ${one.skip[0]} ${one.only[0]}`} calendar=${one} />`)}</tbody></table>`}
    ${list.more && html`<p class="pad"><button type="button" onClick=${list.more}>${t("moreRows")}</button></p>`}`}<//>`;
}

const TABS = { limits: Limits, calendars: Calendars };

export function LimitsPage() {
  const chosen = TABS[route.value.query.tab] ? route.value.query.tab : "limits";
  return html`<section class="page flush"><div class="head"><${Title}>${t("limitsAndCalendars")}<//></div>
    <nav class="tabs" aria-label=${t("limitsAndCalendars")}>${Object.keys(TABS).map((one) => html`<a key=${one} href=${href(["limits"], { tab: one === "limits" ? "" : one })} aria-current=${one === chosen ? "page" : undefined}>${t(one)}</a>`)}</nav>
    <div class="tab"><${TABS[chosen]} /></div></section>`;
}
