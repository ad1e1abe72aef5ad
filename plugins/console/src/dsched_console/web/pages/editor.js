// Editor: a config as a form or as JSON, beside what the server says of it while it is written.
import { path } from "../api.js";
import { html, useEffect, useMemo, useRef, useState } from "../html.js";
import { parse, stringify } from "../json.js";
import { go, href, route } from "../router.js";
import { clock, day, duration, now, offset, relative } from "../time.js";
import { t } from "../text.js";
import { words } from "../words.js";
import { mayAct, say } from "../parts/acts.js";
import { Choice, Copy, Key, Loaded, Title } from "../parts/basics.js";
import { changed, KINDS, kindOf, minuteOf, save, useJudged, withH } from "../parts/draft.js";
import { Glyph, State } from "../parts/glyph.js";
import { LoadChart } from "../parts/loadchart.js";
import { useResource } from "../parts/resource.js";
import { command, python, yaml } from "../parts/written.js";

const FIELDS = ["minute", "hour", "date", "month", "weekday"];
const CROWDED = 5;
const NEW = { executor: "local", cron_expr: "0 2 * * *", timezone: "UTC", payload: { function: "" } };
const CHOICES = {
  overlap: ["skip", "allow", "queue_one", "queue_all", "cancel_previous"],
  misfire: ["fire_once", "skip", "fire_all"],
  dst_gap: ["next", "skip"],
  dst_overlap: ["first", "last", "both"],
};
const DEFAULTS = { overlap: "skip", misfire: "fire_once", dst_gap: "next", dst_overlap: "first", timeout: "5m", priority: 5 };
const ZONES = Intl.supportedValuesOf?.("timeZone") ?? ["UTC"];

const errorsAt = (errors, field) => errors.filter((one) => one.field === field || one.field.startsWith(`${field}.`));

function Field({ name, label, errors = [], children }) {
  const wrong = errorsAt(errors, name);
  return html`<div class="field"><label for=${`f-${name}`}>${label}</label><div>${children}
    ${wrong.map((one, index) => html`<p key=${index} id=${`e-${name}`} class="bad" role="alert" dir="auto">${one.reason}</p>`)}</div></div>`;
}

const Text = ({ name, value, set, errors = [], mono, ...more }) =>
  html`<input id=${`f-${name}`} class=${mono ? "mono" : ""} value=${value ?? ""} autocomplete="off" spellcheck=${false} aria-invalid=${errorsAt(errors, name).length > 0}
    aria-describedby=${errorsAt(errors, name).length ? `e-${name}` : undefined} onInput=${(event) => set(event.target.value)} ...${more} />`;

function Expression({ entry, set, errors, ms }) {
  const fields = (entry.cron_expr ?? "").trim().split(/\s+/);
  return html`<${Field} name="cron_expr" label=${t("expression")} errors=${errors}>
    <div class="expression"><${Text} name="cron_expr" mono value=${entry.cron_expr} set=${(value) => set({ cron_expr: value })} errors=${errors} /><small>${ms !== null && t("explainedIn", { ms })}</small></div>
    ${fields.length === FIELDS.length && html`<dl class="cronfields">${fields.map((one, index) => html`<div key=${index} class="cf${index}"><dt>${one}</dt><dd>${t(`cron_${FIELDS[index]}`)}</dd></div>`)}</dl>`}<//>`;
}

function When({ entry, set, errors, ms }) {
  const kind = kindOf(entry);
  const change = (next) => {
    if (next === kind) return;
    const begin = { cron_expr: "0 2 * * *", every: "1h", fixed_delay: "10m", at: new Date(Math.ceil(now.peek() / 3_600_000) * 3_600_000).toISOString() };
    set({ ...Object.fromEntries(KINDS.map((one) => [one, undefined])), [next]: begin[next] });
  };
  return html`<h2>${t("when")}</h2>
    <div class="field"><span>${t("trigger")}</span><div><${Choice} label=${t("trigger")} value=${kind} onChange=${change} options=${KINDS.map((one) => [one, t(`kind_${one}`)])} /></div></div>
    ${kind === "cron_expr" ? html`<${Expression} entry=${entry} set=${set} errors=${errors} ms=${ms} />` : html`<${Field} name=${kind} label=${t(`kind_${kind}`)} errors=${errors}><${Text} name=${kind} mono value=${entry[kind]} set=${(value) => set({ [kind]: value })} errors=${errors} /><//>`}
    <${Field} name="timezone" label=${t("zone")} errors=${errors}><${Text} name="timezone" value=${entry.timezone ?? "UTC"} set=${(value) => set({ timezone: value })} errors=${errors} list="zones" /><datalist id="zones">${ZONES.map((one) => html`<option key=${one} value=${one} />`)}</datalist><//>`;
}

function What({ id, setId, isNew, entry, set, payload, setPayload, executors, errors }) {
  return html`<h2>${t("what")}</h2>
    <${Field} name="id" label=${t("name")} errors=${errors}><${Text} name="id" value=${id} set=${setId} errors=${errors} readonly=${!isNew} required maxlength="128" /><//>
    <${Field} name="executor" label=${t("executor")} errors=${errors}><select id="f-executor" value=${entry.executor} onChange=${(event) => set({ executor: event.target.value, type: undefined })}>${[...new Set([entry.executor, ...executors].filter(Boolean))].map((one) => html`<option key=${one} value=${one}>${one}</option>`)}</select><//>
    <${Field} name="payload" label=${t("payload")} errors=${errors}><textarea id="f-payload" class="mono" rows="4" spellcheck=${false} aria-invalid=${payload.error !== null || errorsAt(errors, "payload").length > 0} value=${payload.text} onInput=${(event) => setPayload(event.target.value)}></textarea>
      ${payload.error && html`<p class="bad" role="alert">${t("noJson", { text: payload.error })}</p>`}<//>
    <${Field} name="owner" label=${t("owner")} errors=${errors}><${Text} name="owner" value=${entry.owner} set=${(value) => set({ owner: value || undefined })} errors=${errors} maxlength="128" /><//>`;
}

function Policies({ entry, set, errors }) {
  const retry = entry.retry ?? {};
  const choose = (name) => html`<select id=${`f-${name}`} value=${entry[name] ?? DEFAULTS[name]} onChange=${(event) => set({ [name]: event.target.value })}>${CHOICES[name].map((one) => html`<option key=${one} value=${one}>${one.replaceAll("_", " ")}</option>`)}</select>`;
  const rows = [
    ["overlap", t("overlap"), choose("overlap"), t(`overlap_${entry.overlap ?? "skip"}`)],
    ["misfire", t("missedPolicy"), choose("misfire"), t(`misfire_${entry.misfire ?? "fire_once"}`)],
    ["retry", t("retries"), html`<input id="f-retry" type="number" min="0" max="1000" value=${retry.max_retries ?? 3} onInput=${(event) => set({ retry: { ...retry, max_retries: Number(event.target.value) } })} />`, t("retriesMean", { first: retry.retry_delay ?? "10s", rate: String(retry.backoff_rate?.text ?? retry.backoff_rate ?? 2) })],
    ["timeout", t("timeout"), html`<${Text} name="timeout" value=${entry.timeout ?? DEFAULTS.timeout} set=${(value) => set({ timeout: value })} errors=${errors} />`, t("timeoutMeans")],
    ["priority", t("priority"), html`<input id="f-priority" type="number" min="1" max="10" value=${entry.priority ?? 5} onInput=${(event) => set({ priority: Number(event.target.value) })} />`, t("priorityMeans")],
    ["dst_gap", t("gapClocks"), choose("dst_gap"), t(`gap_${entry.dst_gap ?? "next"}`)],
    ["dst_overlap", t("twiceClocks"), choose("dst_overlap"), t(`twice_${entry.dst_overlap ?? "first"}`)],
  ];
  return html`<h2>${t("policies")}</h2><div class="policies">${rows.map(([name, label, field, means]) => html`<div key=${name} class="policy"><label for=${`f-${name}`}>${label}</label><div>${field}${errorsAt(errors, name).map((one, index) => html`<p key=${index} class="bad" role="alert">${one.reason}</p>`)}</div><small>${means}</small></div>`)}
    <div class="policy"><label for="f-enabled">${t("enabled")}</label><div><input id="f-enabled" type="checkbox" checked=${entry.enabled ?? true} onChange=${(event) => set({ enabled: event.target.checked })} /></div><small>${t("enabledMeans")}</small></div></div>`;
}

function Saving({ found, before, entry, old, nowMs }) {
  const change = changed(before, found.next, nowMs);
  const keys = [...new Set([...Object.keys(old), ...Object.keys(entry)])].filter((key) => entry[key] !== undefined || old[key] !== undefined).filter((key) => stringify(old[key] ?? null) !== stringify(entry[key] ?? null));
  if (!keys.length) return null;
  const brief = (value) => (value === undefined ? "–" : stringify(value).replace(/\s+/g, " ").slice(0, 60));
  return html`<section class="saving" aria-labelledby="saving-title"><h2 id="saving-title">${t("savingChanges")} ${change && html`<span class="dim end">${t("nextSpan", { text: duration(change.ms, 1) })}</span>`}</h2>
    ${keys.map((key) => html`<p key=${key} class="mono" dir="auto">${key}: <span class="s-failed">- ${brief(old[key])}</span> <span class="s-success">+ ${brief(entry[key])}</span></p>`)}
    ${change && html`<p>${change.before === change.after && change.same === change.after ? t("firesStay", { n: change.after }) : t("firesBecome", { before: change.before, after: change.after, same: change.same })}</p>`}</section>`;
}

function Ten({ items, zone }) {
  const date = (at, one) => `${day(at, one)} ${new Date(at).getUTCFullYear()}`;
  return html`<table class="rows small fires10"><thead><tr><th class="r">#</th><th>${zone}</th><th>UTC</th><th class="r">${t("next")}</th><th>${t("note")}</th></tr></thead>
    <tbody>${items.slice(0, 10).map((one, index) => html`<tr key=${one.time}><td class="r dim num">${index + 1}</td><td class="main num">${date(one.time, zone)} <b>${clock(one.time, zone, true)}</b> <small>${offset(one.time, zone).replace("UTC", "") || "+0"}</small></td>
      <td class="num dim">${day(one.time, "UTC")} ${clock(one.time, "UTC", true)}</td><td class="r num dim">${relative(one.time, true)}</td><td dir="auto">${one.note && html`<${State} kind="late">${one.note}<//>`}</td></tr>`)}</tbody></table>`;
}

function Minutes({ found, entry, own, set, zone }) {
  const first = found.next?.items[0];
  if (!first || !found.hour) return null;
  const minute = Math.floor((Date.parse(first.time) % 3_600_000) / 60_000);
  const others = Math.max(0, (found.hour.cells[minute]?.fires ?? 0) - own);
  const usual = found.hour.cells.map((one) => one.fires ?? 0).sort((a, b) => a - b)[30];
  const spread = found.spread && Math.floor((Date.parse(found.spread) % 3_600_000) / 60_000);
  const cells = found.hour.cells.map((one, index) => ({ slots: (one.fires ?? 0) + (index === minute ? 1 - own : 0) }));
  const begin = Date.parse(first.time) - (Date.parse(first.time) % 3_600_000);
  return html`${others - usual >= CROWDED && minuteOf(entry) !== null && html`<div class="warning"><${Glyph} kind="late" /><div><b>${t("othersFire", { n: others, at: clock(first.time, zone, true) })}</b>
      <p><code>${withH(entry.cron_expr)}</code> ${t("hSpreads")}</p></div><button type="button" class="small" onClick=${() => set({ cron_expr: withH(entry.cron_expr) })}>${t("useH")}</button></div>`}
    <figure class="minutes"><figcaption><h2>${t("minutesOf", { at: clock(begin, zone, true) })} <span class="dim">${t("firesOfAll")}</span></h2></figcaption>
      <p class="dim">${t("atMinute", { n: others + 1, at: clock(first.time, zone, true) })}${spread !== null && spread !== minute && `; ${t("hGives", { minute: spread })}`}</p>
      <${LoadChart} load=${{ cells, capacity: 0 }} upto=${0} at=${minute} choose=${() => {}} />
      <div class="xlabels" aria-hidden="true">${[0, 15, 30, 45].map((one) => html`<span key=${one} style=${{ left: `${(100 * one) / 60}%` }}>${clock(begin + one * 60_000, zone, true)}</span>`)}</div></figure>`;
}

function Said({ found, entry, set, own, saving }) {
  const zone = entry.timezone && ZONES.includes(entry.timezone) ? entry.timezone : "UTC";
  const said = words(entry);
  return html`<aside class="said-side"><small>${t("inWords")}</small><p class="big">${said.text || "–"}${said.zone && html`, <span>${said.zone}</span>`}.</p>
    ${found.refused && html`<p class="warning"><${Glyph} kind="failed" /><span dir="auto">${found.refused.code === "unreachable" ? t("unreachable") : found.refused.detail || found.refused.code}</span></p>`}
    <div role="status">${found.errors.length > 0 && html`<p class="warning"><${Glyph} kind="failed" /><span>${t("wrongFields", { n: found.errors.length })}</span></p>`}</div>
    <h2>${t("nextTen")} <small class="end">${t("fromServer")}</small></h2>
    ${found.next ? (found.next.items.length ? html`<${Ten} items=${found.next.items} zone=${zone} />` : html`<p class="dim pad">${t("nothingDue")}</p>`) : html`<p class="dim pad" aria-busy=${found.ms === null}>${found.ms === null ? t("loading") : "–"}</p>`}
    ${found.warnings.map((one) => html`<p key=${one} class="warning"><${Glyph} kind="late" /><span dir="auto">${one}</span></p>`)}
    <${Minutes} found=${found} entry=${entry} own=${own} set=${set} zone=${zone} />${saving}</aside>`;
}

function CopyAs({ id, entry }) {
  return html`<details class="copyas"><summary>${t("copyAs")}</summary><div>${[["YAML", yaml], ["Python", python], [t("command"), command]].map(([label, make]) => html`<${Copy} key=${label} label=${label} text=${make(id || "new", entry)} />`)}</div></details>`;
}

function Clash({ error, id, entry }) {
  const moved = error.code === "precondition_failed";
  return html`<div class="trouble" role="alert"><p dir="auto">${moved ? t("changedMeanwhile") : error.code === "unreachable" ? t("unreachable") : error.detail || error.code}</p>
    ${moved && html`<${Copy} text=${stringify(entry)} label=${t("copyMine")} /><a class="button small" href=${href(["configs", id])} target="_blank">${t("showTheirs")}</a>`}</div>`;
}

function Form({ config, executors }) {
  const isNew = config === null;
  const wanted = route.value.query.cron_expr;
  const begin = useMemo(() => (isNew ? NEW : wanted ? { ...config.spec, cron_expr: wanted } : config.spec), []);
  const [id, setId] = useState(isNew ? "" : config.id);
  const [entry, setEntry] = useState(begin);
  const [payload, setPayloadText] = useState({ text: begin.payload === undefined ? "" : stringify(begin.payload), error: null });
  const [raw, setRaw] = useState(null);
  const [failed, setFailed] = useState(null);
  const [busy, setBusy] = useState(false);
  const revision = useRef(isNew ? null : config.revision);
  const may = mayAct("pause");
  const found = useJudged(id, entry, may);
  const before = useResource(isNew ? null : path(["configs", config.id, "upcoming"], { limit: 200 }));
  const dirty = stringify(entry) !== stringify(isNew ? NEW : config.spec);
  const set = (change) => setEntry((was) => Object.fromEntries(Object.entries({ ...was, ...change }).filter(([, value]) => value !== undefined)));
  const setPayload = (text) => {
    try {
      set({ payload: text.trim() ? parse(text) : undefined });
      setPayloadText({ text, error: null });
    } catch (error) {
      setPayloadText({ text, error: error.message });
    }
  };
  const setJson = (text) => {
    try {
      const value = parse(text);
      if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Error("{…}");
      setEntry(value);
      setPayloadText({ text: value.payload === undefined ? "" : stringify(value.payload), error: null });
      setRaw({ text, error: null });
    } catch (error) {
      setRaw({ text, error: error.message });
    }
  };
  useEffect(() => {
    const ask = (event) => dirty && event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [dirty]);
  const blocked = !id || busy || payload.error !== null || Boolean(raw?.error) || !may || (!isNew && !dirty);
  const submit = async (event) => {
    event?.preventDefault();
    if (blocked) return;
    setBusy(true);
    setFailed(null);
    try {
      await save(id, entry, revision.current);
      say(t("saved", { name: id }));
      go(href(["configs", id]));
    } catch (error) {
      setFailed(error);
      setBusy(false);
    }
  };
  const managed = !isNew && config.origin !== "api";
  const own = !isNew && found.hour && found.next?.items[0] && before.data?.items.some((one) => one.time.slice(0, 16) === found.next.items[0].time.slice(0, 16)) ? 1 : 0;
  const errors = [...found.errors, ...(failed?.errors ?? [])];
  return html`<form class="editor" onSubmit=${submit} onKeyDown=${(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && submit(event)}>
    <div class="head"><div><p class="crumbs"><a href=${href(["configs"])}>${t("configs")}</a>${!isNew && html` / <a href=${href(["configs", id])}><bdi>${id}</bdi></a>`}</p>
        <div class="inline"><${Title}>${isNew ? t("newConfig") : html`<bdi>${id}</bdi>`}<//>${dirty && !isNew && html`<${State} kind="late" soft>${t("notSaved")}<//>`}</div></div>
      <div class="acts"><${Choice} label=${t("view")} value=${raw ? "json" : "form"} onChange=${(one) => setRaw(one === "json" ? { text: stringify(entry), error: null } : null)} options=${[["form", t("form")], ["json", "JSON"]]} />
        <${CopyAs} id=${id} entry=${entry} /><a class="button" href=${href(isNew ? ["configs"] : ["configs", id])}>${t("discard")}</a>
        ${may && html`<button type="submit" class="primary" data-act="put" disabled=${blocked}>${t("save")} <${Key}>Ctrl ↵<//></button>`}</div></div>
    ${!may && html`<p class="warning"><${Glyph} kind="paused" /><span>${t("mayNotSave")}</span></p>`}
    ${managed && html`<p class="warning"><${Glyph} kind="late" /><span dir="auto">${t("managedElsewhere", { origin: config.origin })}</span></p>`}
    ${failed && html`<${Clash} error=${failed} id=${id} entry=${entry} />`}
    <div class="editing"><fieldset class="fields" disabled=${!may}>${raw
        ? html`<${Field} name="json" label="JSON"><textarea id="f-json" class="mono" rows="28" spellcheck=${false} aria-invalid=${raw.error !== null} value=${raw.text} onInput=${(event) => setJson(event.target.value)}></textarea>${raw.error && html`<p class="bad" role="alert">${t("noJson", { text: raw.error })}</p>`}
            ${errors.map((one, index) => html`<p key=${index} class="bad" role="alert" dir="auto">${one.field}: ${one.reason}</p>`)}<//>`
        : html`<${What} id=${id} setId=${setId} isNew=${isNew} entry=${entry} set=${set} payload=${payload} setPayload=${setPayload} executors=${executors} errors=${errors} />
          <${When} entry=${entry} set=${set} errors=${errors} ms=${found.ms} /><${Policies} entry=${entry} set=${set} errors=${errors} />`}</fieldset>
      <${Said} found=${found} entry=${entry} set=${set} own=${own} saving=${!isNew && html`<${Saving} found=${found} before=${before.data} entry=${entry} old=${config.spec} nowMs=${now.value} />`} /></div>
  </form>`;
}

export function Editor({ id = null }) {
  const plugins = useResource(path(["plugins"]));
  const config = useResource(id === null ? null : path(["configs", id]));
  const executors = (plugins.data?.items ?? []).filter((one) => one.kind === "executor").map((one) => one.name);
  return html`<section class="page flush editpage">${id !== null && !config.data && html`<div class="head"><${Title}><bdi>${id}</bdi><//></div>`}
    ${id === null ? html`<${Form} config=${null} executors=${executors} />` : html`<${Loaded} from=${config}>${(found) => html`<${Form} key=${id} config=${found} executors=${executors} />`}<//>`}</section>`;
}

