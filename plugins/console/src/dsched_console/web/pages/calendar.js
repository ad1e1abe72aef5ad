// Calendar: what each config did and is due to do by cell of time, under the load that makes.
import { path } from "../api.js";
import { html, useState } from "../html.js";
import { ask, href, route } from "../router.js";
import { addDays, clock, count, dateOf, dateText, duration, now, offset, startOf, when, zoneOf } from "../time.js";
import { t } from "../text.js";
import { At, Choice, ConfigLink, Loaded, Title } from "../parts/basics.js";
import { Glyph } from "../parts/glyph.js";
import { LoadChart } from "../parts/loadchart.js";
import { useList, useResource } from "../parts/resource.js";

const VIEWS = { day: { days: 1, cell: "5m", cellMs: 300_000 }, week: { days: 7, cell: "30m", cellMs: 1_800_000 } };
const DRAWN = { success: "success", running: "running", due: "due", cancelled: "skipped" };
const GLYPHS = ["late", "failed", "missed", "skipped"];
const MOST_GLYPHS = 40; // in a row: beyond that they hide each other
const DATE = /^\d{4}-\d\d-\d\d$/;
const FITS = new Set(["fired", "completed", "missed", "config", "worker"]);
const EVERY_MS = 60_000;

/** The range of the view: its date, first and last instant, and how many cells it has. */
function range({ day, view }, zone) {
  const how = VIEWS[view] ?? VIEWS.day;
  const date = DATE.test(day ?? "") && !Number.isNaN(Date.parse(day)) ? day : dateOf(now.peek(), zone);
  const from = startOf(date, zone);
  const to = startOf(addDays(date, how.days), zone);
  return { ...how, view: how === VIEWS.week ? "week" : "day", date, from, to, cells: Math.round((to - from) / how.cellMs) };
}

/** Labels of the axis: [place in percent, text, whether it begins a day]. */
function ticks(span, zone) {
  const found = [];
  const step = span.view === "week" ? 86_400_000 / 2 : 3_600_000;
  for (let at = span.from; at < span.to; at += step) {
    const text = clock(at, zone, true);
    found.push([(100 * (at - span.from)) / (span.to - span.from), span.view === "week" ? (text === "00:00" ? dateText(dateOf(at, zone)).slice(0, 10).replace(/\s\w+$/, "") : text) : text.slice(0, 2), text === "00:00" || text === "12:00"]);
  }
  return found;
}

const cellPath = (marks, shape) => marks.map(shape).join("");
const solid = (mark) => `M${mark.cell + 0.1} 2h.8v14h-.8z`;
const tail = (mark) => `M${mark.cell + 1} 3.5h${mark.lasted}v11h${-mark.lasted}z`;
const whole = (mark) => `M${mark.cell} 2h${mark.lasted + 0.9}v14h${-mark.lasted - 0.9}z`;

function Marks({ row, span }) {
  const kinds = Object.groupBy ? Object.groupBy(row.marks, (one) => one.kind) : group(row.marks);
  const drawn = Object.keys(DRAWN).filter((kind) => kinds[kind]);
  const loud = row.marks.filter((one) => GLYPHS.includes(one.kind)).slice(-MOST_GLYPHS);
  return html`<svg viewBox="0 0 ${span.cells} 18" preserveAspectRatio="none" aria-hidden="true">
    ${drawn.map((kind) => {
      const exact = kinds[kind].filter((one) => !one.coarse);
      const coarse = kinds[kind].filter((one) => one.coarse);
      const lasting = exact.filter((one) => one.lasted > 0);
      return html`${lasting.length > 0 && html`<path class="c-${DRAWN[kind]} tail" d=${cellPath(lasting, tail)} />`}
        ${coarse.length > 0 && html`<path class="c-${DRAWN[kind]} tail" d=${cellPath(coarse, whole)} />`}
        ${exact.length > 0 && html`<path class="c-${DRAWN[kind]}" d=${cellPath(exact, solid)} />`}`;
    })}
  </svg>
  ${loud.map((one) => html`<span key=${`${one.cell} ${one.kind}`} class="mark" style=${{ left: `${(100 * (one.cell + 0.5)) / span.cells}%` }}><${Glyph} kind=${one.kind} label=${`${t(one.kind)} ${one.count}`} /></span>`)}`;
}

function group(marks) {
  const found = {};
  for (const one of marks) (found[one.kind] ??= []).push(one);
  return found;
}

const said = (row) => {
  const sums = {};
  for (const one of row.marks) sums[one.kind] = (sums[one.kind] ?? 0) + one.count;
  return Object.entries(sums).map(([kind, n]) => `${t(kind)} ${n}`).join(", ");
};

function Crowd({ at, zone }) {
  const found = useResource(path(["load", "minute"], { at: new Date(at).toISOString() }));
  return html`<section class="crowd" aria-labelledby="crowd-title"><${Loaded} from=${found}>${(crowd) => {
    const minute = Math.floor((at % 3_600_000) / 60_000);
    const before = crowd.hour[minute]?.slots ?? 0;
    const after = Math.max(0, ...crowd.hour_spread.map((one) => one.slots ?? 0));
    const movable = crowd.configs.filter((one) => one.spread);
    const full = before > crowd.capacity;
    return html`<div><h2 id="crowd-title">${html`<${Glyph} kind=${full ? "failed" : "due"} />`} ${t("crowdNeeds", { at: when(at, zone), n: before, all: crowd.capacity })}</h2>
        <p>${t("crowdFires", { n: crowd.configs.length })} ${movable.length > 0 && t("crowdSpread", { n: movable.length, peak: after })}</p>
        <details><summary>${t("crowdList", { n: crowd.configs.length })}</summary>
          <table class="rows small"><thead><tr><th>${t("config")}</th><th>${t("fires")}</th><th>${t("withH")}</th><th>${t("origin")}</th></tr></thead>
          <tbody>${crowd.configs.slice(0, 100).map((one) => html`<tr key=${one.id}><td class="main"><${ConfigLink} id=${one.id} /></td><td><code>${one.cron_expr ?? ""}</code></td><td class="num">${one.spread && html`<a href=${href(["configs", one.id, "edit"], { cron_expr: one.spread })}><code>${one.spread}</code></a> <${At} at=${one.spread_at} clockOnly />`}</td><td class="dim">${one.origin.split(":")[0]}</td></tr>`)}</tbody></table>
        </details></div>
      <div class="crowdchart"><${LoadChart} load=${{ cells: crowd.hour, capacity: crowd.capacity }} upto=${0} at=${minute} choose=${() => {}} />
        <div class="xlabels" aria-hidden="true">${[0, 15, 30, 45].map((one) => html`<span key=${one} style=${{ left: `${(100 * one) / 60}%` }}>${clock(at - (at % 3_600_000) + one * 60_000, zone, true)}</span>`)}</div></div>
      <p class="acts"><button type="button" class="link" onClick=${() => ask({ at: "" })}>${t("close")}</button></p>`;
  }}<//></section>`;
}

function Table({ load, rows, span, zone }) {
  return html`<table class="rows small"><thead><tr><th>${t("config")}</th><th>${t("what")}</th></tr></thead>
      <tbody>${rows.map((one) => html`<tr key=${one.id}><td class="main"><${ConfigLink} id=${one.id} /></td><td>${said(one)}</td></tr>`)}</tbody></table>
    <h2 class="pad">${t("slotsInUse")}</h2>
    <table class="rows small"><thead><tr><th>${t("began")}</th><th class="r">${t("due")}</th><th class="r">${t("slots")}</th></tr></thead>
      <tbody>${(load?.cells ?? []).map((one, index) => (one.slots ? html`<tr key=${index}><td class="num"><a href=${href(["calendar"], { ...route.value.query, at: span.from + index * span.cellMs })}>${when(span.from + index * span.cellMs, zone)}</a></td><td class="r num">${one.fires ?? ""}</td><td class="r num ${one.slots > load.capacity ? "bad" : ""}">${count(one.slots)}</td></tr>` : null))}</tbody></table>`;
}

function Chart({ load, rows, span, zone, at }) {
  const place = (ms) => (100 * (ms - span.from)) / (span.to - span.from);
  const upto = Math.max(0, Math.min(span.cells, Math.floor((now.value - span.from) / span.cellMs)));
  const choose = (cell) => ask({ at: String(span.from + cell * span.cellMs) });
  const hot = (load?.cells ?? []).map((one, index) => [index, one.slots ?? 0]).filter(([index, slots]) => index >= upto && slots > load.capacity && load.capacity > 0);
  const labels = ticks(span, zone);
  return html`<div class="calendar">
    <div class="calrow calload"><div class="calname"><b>${t("slotsInUse")}</b><small>${t("pastMeasured")}</small><small>${t("futureFrom")}</small></div>
      <div class="calplot">${load && html`<${LoadChart} load=${load} upto=${upto} at=${at === null ? null : Math.floor((at - span.from) / span.cellMs)} choose=${choose}
        worstText=${([cell, slots]) => t("slotsOf", { at: when(span.from + cell * span.cellMs, zone), n: slots, all: load.capacity })} />`}
        <div class="xlabels" aria-hidden="true">${labels.map(([left, text, strong]) => html`<span key=${left} class=${strong ? "day" : ""} style=${{ left: `${left}%` }}>${text}</span>`)}
        ${now.value >= span.from && now.value < span.to && html`<span class="nowchip" style=${{ left: `clamp(28px, ${place(now.value)}%, 100% - 28px)` }}>${clock(now.value, zone, true)}</span>`}</div></div></div>
    <div class="calrows">
      <div class="calgrid" aria-hidden="true">${labels.map(([left]) => html`<i key=${left} style=${{ left: `${left}%` }}></i>`)}
        ${hot.map(([index]) => html`<i key=${`h${index}`} class="hot" style=${{ left: `${(100 * index) / span.cells}%`, width: `${100 / span.cells}%` }}></i>`)}
        ${now.value >= span.from && now.value < span.to && html`<i class="nowline" style=${{ left: `${place(now.value)}%` }}></i>`}</div>
      <ul>${rows.map((row) => html`<li key=${row.id} class="calrow"><div class="calname"><${ConfigLink} id=${row.id} /><span class="num dim" title=${said(row)}>${count(row.count)}${row.complete ? "" : "+"}</span></div>
        <div class="calplot" role="img" aria-label=${`${row.id}: ${said(row) || t("nothingDue")}`}><${Marks} row=${row} span=${span} /></div></li>`)}</ul>
    </div></div>`;
}

export function Calendar() {
  const { query } = route.value;
  const zone = zoneOf();
  const [table, setTable] = useState(false);
  const span = range(query, zone);
  const asked = { from: new Date(span.from).toISOString(), to: new Date(span.to).toISOString(), cell: span.cell };
  const options = { fits: (event) => FITS.has(event.kind), everyMs: EVERY_MS };
  const list = useList((more) => path(["timetable"], { ...asked, limit: 25, ...more }), options);
  const load = useResource(path(["load"], asked), options);
  const at = /^\d{10,14}$/.test(query.at ?? "") ? Number(query.at) : null;
  const today = dateOf(now.value, zone);
  const change = offset(span.from, zone) !== offset(span.to, zone);
  const move = (days) => href(["calendar"], { ...query, day: addDays(span.date, days), at: "" });
  const filtered = (list.data ?? []).filter((one) => one.id.toLowerCase().includes((query.q ?? "").toLowerCase()));
  return html`<section class="page calpage">
    <div class="head"><div class="inline"><${Title}>${dateText(span.date)}<//>
        <span class="steps-of"><a class="button small" href=${move(-span.days)} aria-label=${t("earlier")}>‹</a><a class="button small" href=${href(["calendar"], { view: query.view })} aria-current=${span.date === today ? "date" : undefined}>${t("today")}</a><a class="button small" href=${move(span.days)} aria-label=${t("later")}>›</a></span>
        <span class="dim">${zone}, ${offset(span.from, zone)}${change ? html` <b class="s-late">${t("clocksChange", { to: offset(span.to, zone) })}</b>` : ` ${t("allDay")}`}</span></div>
      <div class="acts"><${Choice} label=${t("view")} value=${span.view} onChange=${(one) => ask({ view: one === "day" ? "" : one, at: "" })} options=${["day", "week"].map((one) => [one, t(one)])} />
        <input type="search" class="narrow" aria-label=${t("filterConfigs")} placeholder=${t("filterName")} value=${query.q ?? ""} onInput=${(event) => ask({ q: event.target.value })} /></div></div>
    <p class="legend calkey">${["success", "late", "failed", "missed", "skipped", "due"].map((one) => html`<span key=${one}><${Glyph} kind=${one} /> ${t(one)}</span>`)}
      <span class="end dim">${t("oneCell", { text: duration(span.cellMs, 1) })}</span><button type="button" class="link" onClick=${() => setTable(!table)}>${t(table ? "showAsChart" : "showAsTable")}</button></p>
    <${Loaded} from=${list}>${() =>
      filtered.length === 0
        ? html`<p class="dim pad">${t(list.data.length ? "nothingMatches" : "noConfigs")}</p>`
        : table
          ? html`<${Table} load=${load.data} rows=${filtered} span=${span} zone=${zone} />`
          : html`<${Chart} load=${load.data} rows=${filtered} span=${span} zone=${zone} at=${at} />`}<//>
    ${list.more && html`<p class="pad"><button type="button" onClick=${list.more}>${t("moreConfigs")}</button></p>`}
    ${load.data && !load.data.complete && html`<p class="dim">${t("tooMany")}</p>`}
    ${at !== null && html`<${Crowd} key=${at} at=${at} zone=${zone} />`}
  </section>`;
}
