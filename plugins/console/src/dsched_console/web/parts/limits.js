// Limits: how full one is, in a word and a bar; and the dialogs that change and delete one.
import { ApiError, path, put, remove } from "../api.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { count } from "../time.js";
import { t } from "../text.js";
import { may, say } from "./acts.js";
import { Copy, shell } from "./basics.js";
import { State } from "./glyph.js";

/** What happens under a limit: tasks come and go. */
export const FITS = new Set(["fired", "submitted", "dispatched", "recalled", "claimed", "completed", "released", "reaped", "cancelled"]);
export const mayChange = () => may("operate");

// What the API adds to a limit; everything else is the limit itself, also what this page does not know.
const ADDED = new Set(["id", "origin", "use", "uses", "cursor", "changed"]);
const kept = (limit) => Object.fromEntries(Object.entries(limit).filter(([key]) => !ADDED.has(key)));
/** Keys beside `max_running` that say how much may begin in a time, as they are told. */
export const pace = (limit) => ["rate", "burst"].filter((key) => limit[key] !== undefined && limit[key] !== null);

/** Whether no more may begin: of an instance, or of a limit all of whose instances in use are full. */
const isFull = (max, { held, names, full, tokens }) => (names === undefined ? tokens === 0 || (max !== null && held >= max) : names > 0 && full === names);
/** Whether no more of an instance, or of a limit without any, may begin. */
export const outOf = (max, use) => isFull(max, { ...use, names: undefined });
/** [glyph, text key] of a limit or an instance. */
export function stateOf(max, use) {
  if (use.waiting) return ["late", "limitWaits"];
  if (max === 0) return ["paused", "limitStopped"];
  return isFull(max, use) ? ["running", "limitFull"] : ["active", "limitRoom"];
}

export const LimitState = ({ max, use }) => {
  const [glyph, word] = stateOf(max, use);
  return html`<${State} kind=${glyph}>${t(word)}<//>`;
};

/** How many of the places are held: a bar, and the two numbers; without a bound the one number. */
export function Places({ held, max }) {
  if (max === null) return count(held);
  const share = max ? Math.min(1, held / max) : held ? 1 : 0;
  return html`<span class="meter ${share >= 1 ? "isfull" : ""}" aria-hidden="true"><i style=${{ width: `${100 * share}%` }}></i></span> ${count(held)} / ${count(max)}`;
}

function Shown({ commands, failed }) {
  return html`<details><summary>${t("command")}</summary><pre class="command">${commands}</pre><${Copy} text=${commands} /></details>
    ${failed && html`<p class="bad" role="alert" dir="auto">${failed.code === "unreachable" ? t("unreachable") : failed.errors?.[0]?.reason || failed.detail || failed.code}</p>`}`;
}

function Why({ reason, set, missing }) {
  return html`<label>${t("reasonWhy")}<input name="reason" maxlength="500" autocomplete="off" value=${reason} aria-invalid=${missing} aria-describedby=${missing ? "limit-missing" : undefined} onInput=${(event) => set(event.target.value)} /></label>
    ${missing && html`<p id="limit-missing" class="bad" role="alert">${t("reasonNeeded")}</p>`}`;
}

const numbers = (limit) => Object.fromEntries(Object.entries(limit).filter(([, value]) => value !== null && value !== ""));
const flags = (limit) => pace(numbers(limit)).map((key) => ` --${key} ${shell(String(limit[key]))}`).join("");
const because = (reason) => (reason.trim() ? ` --reason ${shell(reason.trim())}` : "");

/** What a dialog has in common: it opens, sends once at a time, and says what was refused. */
function useDialog(send, done) {
  const dialog = useRef(null);
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState(null);
  useEffect(() => dialog.current.showModal(), []);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setFailed(null);
    try {
      if (await send()) dialog.current.close("done");
    } catch (error) {
      setFailed(error instanceof ApiError ? error : new ApiError({ code: "internal" }));
    }
    setBusy(false);
  };
  return { dialog, busy, failed, submit, closed: () => done(dialog.current.returnValue === "done") };
}

function effect(max, use) {
  if (!Number.isInteger(max) || !use) return "";
  if (use.names > 1) return t("limitEach", { n: max });
  if (use.held > max) return t("limitOver", { n: use.held - max });
  return use.waiting ? t("limitLets", { n: Math.min(use.waiting, max - use.held) }) : "";
}

/** Change a limit, or make one (`limit` null); `of` begins the name of an instance. */
export function PutLimit({ limit, of = "", use, done }) {
  const [id, setId] = useState(of);
  const [wanted, setWanted] = useState(() => ({ max_running: "", rate: "", burst: "", ...(limit && numbers(kept(limit))) }));
  const [reason, setReason] = useState("");
  const name = limit?.id ?? id.trim();
  const max = wanted.max_running === "" ? NaN : Number(wanted.max_running);
  const send = async () => {
    const body = { ...numbers(wanted), ...(reason.trim() ? { reason: reason.trim() } : {}) };
    await put(path(["limits", name]), body);
    say(t("saved", { name }));
    return true;
  };
  const { dialog, busy, failed, submit, closed } = useDialog(send, done);
  const change = (key) => (event) => {
    const { value } = event.target;
    setWanted({ ...wanted, [key]: key !== "rate" && value.trim() ? Number(value) : value.trim() });
  };
  return html`<dialog ref=${dialog} onClose=${closed} aria-labelledby="limit-title"><form onSubmit=${submit}>
    <h2 id="limit-title"><bdi>${limit ? t("limitChange", { name }) : t("newLimit")}</bdi></h2>
    ${!limit && html`<label>${t("limitName")}<input name="id" required autofocus maxlength="129" autocomplete="off" value=${id} onInput=${(event) => setId(event.target.value)} /></label>`}
    <label>${t("limitMost")}<input name="max_running" type="number" required=${!wanted.rate} min="0" max="1000000" autofocus=${Boolean(limit)} value=${wanted.max_running} onInput=${change("max_running")} /></label>
    <label>${t("limitRate")}<input name="rate" maxlength="40" autocomplete="off" value=${wanted.rate} onInput=${change("rate")} /></label>
    <label>${t("limitBurst")}<input name="burst" type="number" min="1" max="1000000" disabled=${!wanted.rate} value=${wanted.burst} onInput=${change("burst")} /></label>
    <p class="dim hint">${effect(max, use) || t("limitHolds")}</p>
    <${Why} reason=${reason} set=${setReason} />
    <${Shown} commands=${`dsched limit set ${shell(name || "NAME")}${Number.isNaN(max) ? (wanted.rate ? "" : " --max-running N") : ` --max-running ${max}`}${flags(wanted)}${because(reason)}`} failed=${failed} />
    <div class="buttons"><button type="button" onClick=${() => dialog.current.close()}>${t("close")}</button><button type="submit" class="primary" disabled=${busy}>${t("save")}</button></div>
  </form></dialog>`;
}

/** Delete a limit; in use only where that is confirmed. */
export function DropLimit({ limit, use, done }) {
  const inUse = use.held + use.waiting > 0;
  const [force, setForce] = useState(false);
  const [reason, setReason] = useState("");
  const [missing, setMissing] = useState(false);
  const send = async () => {
    setMissing(!reason.trim());
    if (!reason.trim()) return false;
    await remove(path(["limits", limit.id], { force: force || undefined, reason: reason.trim() }));
    say(t("done", { act: t("limitDelete").replace("…", ""), name: limit.id }));
    return true;
  };
  const { dialog, busy, failed, submit, closed } = useDialog(send, done);
  const asks = inUse || failed?.code === "conflict";
  return html`<dialog ref=${dialog} onClose=${closed} aria-labelledby="limit-title"><form onSubmit=${submit}>
    <h2 id="limit-title"><bdi>${t("limitDrop", { name: limit.id })}</bdi></h2>
    <p>${inUse ? t("limitInUse", use) : t("limitUnused")}</p>
    ${asks && html`<label class="tick-line"><input name="force" type="checkbox" checked=${force} onChange=${(event) => setForce(event.target.checked)} /> ${t("limitForce")}</label>`}
    <${Why} reason=${reason} set=${setReason} missing=${missing} />
    <${Shown} commands=${`dsched limit delete ${shell(limit.id)}${force ? " --force" : ""}${because(reason)}`} failed=${failed} />
    <div class="buttons"><button type="button" onClick=${() => dialog.current.close()}>${t("close")}</button><button type="submit" class="primary hot" disabled=${busy}>${t("limitDelete").replace("…", "")}</button></div>
  </form></dialog>`;
}
