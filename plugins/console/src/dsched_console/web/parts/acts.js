// Acts: each says count and names, asks why, and offers the same as a command.
import { ApiError, path, post } from "../api.js";
import { html, signal, useEffect, useRef, useState } from "../html.js";
import { session } from "../session.js";
import { t } from "../text.js";
import { Copy, shell } from "./basics.js";

const SCOPES = ["read", "submit", "operate", "admin"];
/** Whether the session may: the API says so too; here the buttons are left out. */
export const may = (scope) => SCOPES.indexOf(session.value?.scope) >= SCOPES.indexOf(scope);

const reasonFlag = (reason) => (reason ? ` --reason ${shell(reason)}` : "");
const CANCEL = {
  scope: "operate",
  of: "tasks",
  needs: true,
  hot: true,
  address: (id) => ["tasks", id, "cancel"],
  command: (id, reason) => `dsched task cancel ${shell(id)}${reasonFlag(reason)}`,
};
const ACTS = {
  trigger: {
    scope: "submit",
    of: "configs",
    address: (id) => ["configs", id, "trigger"],
    command: (id, reason) => `dsched trigger ${shell(id)}${reasonFlag(reason)}`,
  },
  pause: {
    scope: "operate",
    of: "configs",
    needs: true,
    address: (id) => ["configs", id, "pause"],
    command: (id, reason) => `dsched config pause ${shell(id)}${reasonFlag(reason)}`,
  },
  resume: {
    scope: "operate",
    of: "configs",
    address: (id) => ["configs", id, "resume"],
    command: (id, reason) => `dsched config resume ${shell(id)}${reasonFlag(reason)}`,
  },
  skip: {
    scope: "operate",
    of: "configs",
    needs: true,
    address: (id) => ["configs", id, "skip"],
    body: (more) => ({ at: more.at }),
    command: (id, reason, more) => `dsched config skip ${shell(id)} --at ${more.at}${reasonFlag(reason)}`,
  },
  cancel: CANCEL,
  retry: {
    scope: "operate",
    of: "tasks",
    address: (id) => ["tasks", id, "retry"],
    command: (id, reason) => `dsched task retry ${shell(id)}${reasonFlag(reason)}`,
  },
  cancelRun: CANCEL,
  retryFailed: {
    scope: "operate",
    of: "tasks",
    address: (id) => ["tasks", id, "retry"],
    body: () => ({ failed: true }),
    command: (id, reason) => `dsched task retry ${shell(id)} --failed${reasonFlag(reason)}`,
  },
  drain: {
    scope: "operate",
    of: "workers",
    needs: true,
    address: (id) => ["workers", id, "drain"],
    command: (id, reason) => `dsched worker drain ${shell(id)}${reasonFlag(reason)}`,
  },
  resumeWorker: {
    scope: "operate",
    of: "workers",
    address: (id) => ["workers", id, "resume"],
    command: (id, reason) => `dsched worker resume ${shell(id)}${reasonFlag(reason)}`,
  },
};
const LABELS = { skip: "skipNext", resumeWorker: "resume", cancelRun: "cancel", retryFailed: "retry" };
const SHOWN = 8;

/** The act that is being asked about, or null. */
const asked = signal(null);
export const said = signal("");
let hide = 0;

export function say(text) {
  said.value = text;
  clearTimeout(hide);
  hide = setTimeout(() => {
    said.value = "";
  }, 6000);
}

/** Ask about an act on some things; `after` is called with what was answered for the last. */
export function act(kind, ids, { after, ...more } = {}) {
  if (ids.length && may(ACTS[kind].scope)) asked.value = { kind, ids: [...ids], after, more };
}

export function mayAct(kind) {
  return may(ACTS[kind].scope);
}

async function carryOut({ kind, ids, more }, reason, keys, told) {
  const how = ACTS[kind];
  const failed = [];
  let last = null;
  for (const [index, id] of ids.entries()) {
    try {
      const body = { ...how.body?.(more), ...(reason ? { reason } : {}) };
      last = await post(path(how.address(id)), body, { "Idempotency-Key": keys[index] });
    } catch (error) {
      failed.push([id, error instanceof ApiError ? error : new ApiError({ code: "internal" })]);
    }
    told(index + 1 - failed.length);
  }
  return { failed, last };
}

export function Acting() {
  const now = asked.value;
  return now && html`<${Dialog} key=${now.kind + now.ids.join()} wanted=${now} />`;
}

const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((one) => one.toString(16)).join("-");

function Dialog({ wanted }) {
  const { kind, ids, after, more } = wanted;
  const how = ACTS[kind];
  const dialog = useRef(null);
  // A second click, or one after a lost answer, is the same request.
  const keys = useRef(ids.map(newKey));
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(null);
  const [failed, setFailed] = useState([]);
  const [missing, setMissing] = useState(false);
  const label = t(LABELS[kind] ?? kind).replace("…", "");
  useEffect(() => dialog.current.showModal(), []);
  const close = () => {
    asked.value = null;
  };
  const submit = async (event) => {
    event.preventDefault();
    if (how.needs && !reason.trim()) return setMissing(true);
    setBusy(0);
    const done = await carryOut(wanted, reason.trim(), keys.current, setBusy);
    setBusy(null);
    setFailed(done.failed);
    if (done.failed.length) return;
    close();
    say(t("done", { act: label, name: ids.length === 1 ? ids[0] : ids.length }));
    after?.(done.last);
  };
  const commands = ids.map((id) => how.command(id, reason.trim(), more)).join("\n");
  return html`<dialog ref=${dialog} onClose=${close} aria-labelledby="act-title">
    <form onSubmit=${submit}>
      <h2 id="act-title">${t(`${kind}Title`, { n: ids.length })}</h2>
      <ul class="names">
        ${ids.slice(0, SHOWN).map((id) => html`<li key=${id} dir="auto">${id}${more.at ? ` · ${more.at}` : ""}</li>`)}
        ${ids.length > SHOWN && html`<li class="dim">+ ${ids.length - SHOWN}</li>`}
      </ul>
      ${more.note && html`<p class="dim" dir="auto">${more.note}</p>`}
      <label>${t("reasonWhy")}
        <input name="reason" autofocus maxlength="500" value=${reason} autocomplete="off"
          aria-invalid=${missing} aria-describedby=${missing ? "act-missing" : undefined}
          onInput=${(event) => { setReason(event.target.value); setMissing(false); }} />
      </label>
      ${missing && html`<p id="act-missing" class="bad" role="alert">${t("reasonNeeded")}</p>`}
      <details><summary>${t("command")}</summary>
        <pre class="command">${commands}</pre><${Copy} text=${commands} />
      </details>
      ${busy !== null && ids.length > 1 && html`<p role="status">${t("doneOf", { done: busy, all: ids.length })}</p>`}
      ${failed.map(([id, error]) => html`<p key=${id} class="bad" role="alert" dir="auto">${id}: ${error.code === "unreachable" ? t("unreachable") : error.detail || error.code}</p>`)}
      <div class="buttons">
        <button type="button" onClick=${() => dialog.current.close()}>${t("close")}</button>
        <button type="submit" class=${how.hot ? "primary hot" : "primary"} disabled=${busy !== null}>
          ${t("doIt", { act: label, n: ids.length })}
        </button>
      </div>
    </form>
  </dialog>`;
}

/** A button for an act, left out where the session may not. */
export function ActButton({ kind, ids, label, primary, small, shortcut, after, ...more }) {
  if (!mayAct(kind)) return null;
  return html`<button type="button" class=${primary ? "primary" : small ? "small" : ""} data-act=${kind}
    onClick=${() => act(kind, ids, { after, ...more })}>${label}${shortcut && html`<kbd aria-hidden="true">${shortcut}</kbd>`}</button>`;
}

/** Lets a key press the button inside. */
export const KeyAct = ({ shortcut, children }) =>
  html`<span class="keyact" data-key=${shortcut} onClick=${(event) => { if (event.target === event.currentTarget) event.currentTarget.querySelector("button")?.click(); }}>${children}</span>`;
