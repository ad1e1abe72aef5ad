// What each worker ran when: read once, and from then on as the events tell it.
import { path } from "../api.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { listen } from "../live.js";
import { duration, now } from "../time.js";
import { t } from "../text.js";
import { At, TaskLink } from "./basics.js";
import { TaskState } from "./glyph.js";
import { useResource } from "./resource.js";

const MOST = 500; // tasks that are read
const HEIGHT = 24;
const LEAST = 0.003; // of the width: an exception is seen however short it was
const ENDS = new Set(["completed", "released", "reaped", "cancelled"]);
const KINDS = { success: "success", failed: "failed", running: "running" };

/** A task of a list as a piece of a lane; null of one that has not begun. */
const pieceOf = (task) =>
  task.worker_id && task.start_time && { id: task.id, worker: task.worker_id, name: task.config_id ?? task.id, from: Date.parse(task.start_time), to: task.end_time ? Date.parse(task.end_time) : null, status: task.status };

/** The pieces of all lanes in the last `spanMs`, by worker; and whether these are all. */
export function useLanes(spanMs) {
  const [since, setSince] = useState(null);
  useEffect(() => {
    // To the minute, so that what many viewers ask is the same.
    setSince(new Date(Math.floor((now.peek() - spanMs) / 60_000) * 60_000).toISOString());
  }, [spanMs]);
  const found = useResource(since && path(["tasks"], { since, limit: MOST }));
  const heard = useRef(new Map());
  const [, again] = useState(0);
  useEffect(() => {
    heard.current = new Map();
  }, [found.data]);
  useEffect(
    () =>
      listen(({ kind, at, by, items = [] }) => {
        if (kind !== "claimed" && !ENDS.has(kind)) return;
        const first = now.peek() - 3_600_000;
        for (const [key, one] of heard.current) if (one.to !== null && one.to < first) heard.current.delete(key);
        for (const { task, attempt = 1, status } of items) {
          const key = `${task} ${attempt}`;
          const ms = Date.parse(at);
          if (kind === "claimed") heard.current.set(key, { id: task, worker: by, name: task.split("@")[0], from: ms, to: null, status: "running" });
          else if (heard.current.has(key)) Object.assign(heard.current.get(key), { to: ms, status: status ?? kind });
          else heard.current.set(key, { id: task, worker: null, to: ms, status: status ?? kind });
        }
        again((n) => n + 1);
      }),
    [],
  );
  if (!found.data) return { ...found, lanes: null };
  const ended = new Map();
  const begun = new Map();
  for (const one of heard.current.values()) (one.worker === null ? ended : begun).set(one.id, one);
  const pieces = found.data.items.map(pieceOf).filter((one) => one && !begun.has(one.id));
  const told = pieces.map((one) => (one.to === null && ended.has(one.id) ? { ...one, ...ended.get(one.id), worker: one.worker } : one));
  const lanes = new Map();
  for (const one of [...told, ...[...heard.current.values()].filter((one) => one.worker !== null)]) {
    if (one.to !== null && one.to < now.value - spanMs) continue;
    if (!lanes.has(one.worker)) lanes.set(one.worker, []);
    lanes.get(one.worker).push(one);
  }
  for (const one of lanes.values()) one.sort((a, b) => a.from - b.from || (a.id < b.id ? -1 : 1));
  return { ...found, lanes, complete: found.data.cursor === null, count: found.data.items.length };
}

/** Each piece with its row: the first that is free when it begins. */
function rowsOf(pieces) {
  const free = [];
  return pieces.map((one) => {
    const at = free.findIndex((ms) => ms <= one.from);
    const row = at < 0 ? free.length : at;
    free[row] = one.to ?? Number.POSITIVE_INFINITY;
    return { ...one, row };
  });
}

/** What one worker ran in the last `spanMs`; `goneAt` is when it was last heard of, where it is gone. */
export function Lane({ pieces, spanMs, goneAt, name }) {
  const base = useRef(now.peek()).current; // what is drawn stays where it is, only the view moves on
  const x = (ms) => (ms - base) / 1000;
  const start = now.value - spanMs;
  const rows = rowsOf(pieces);
  const high = HEIGHT / Math.max(1, ...rows.map((one) => one.row + 1));
  const least = (LEAST * spanMs) / 1000;
  const failed = pieces.filter((one) => one.status === "failed").length;
  return html`<svg class="lane" viewBox="${x(start)} 0 ${spanMs / 1000} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label=${t("laneOf", { name, n: pieces.length, failed })}>
    ${goneAt !== null && html`<rect class="f-gone" x=${x(Math.max(goneAt, start))} y="0" width=${Math.max(least, (now.value - Math.max(goneAt, start)) / 1000)} height=${HEIGHT} />`}
    ${rows.map((one) => {
      const kind = KINDS[one.status] ?? "skipped";
      const thin = kind === "failed" ? 0 : Math.min(4, high / 4);
      return html`<rect key=${`${one.id} ${one.from}`} class="f-${kind}" x=${x(one.from)} y=${one.row * high + thin} width=${Math.max(least, ((one.to ?? now.value) - one.from) / 1000)} height=${Math.max(1, high - 2 * thin - (high > 4 ? 1 : 0))}><title>${one.name} · ${duration(Math.max(0, (one.to ?? now.value) - one.from))}</title></rect>`;
    })}
  </svg>`;
}

/** The same as a table. */
export function LaneTable({ lanes }) {
  const all = [...lanes.values()].flat().sort((a, b) => b.from - a.from).slice(0, 100);
  return html`<table class="rows small fixed"><thead><tr><th class="w-worker">${t("worker")}</th><th>${t("task")}</th><th class="w-state">${t("state")}</th><th class="w-at">${t("started")}</th><th class="r w-took">${t("took")}</th></tr></thead>
    <tbody>${all.map((one) => html`<tr key=${`${one.id} ${one.from}`}><td class="clip" dir="auto">${one.worker}</td><td class="main"><${TaskLink} id=${one.id}>${one.name}<//></td><td><${TaskState} status=${one.status} /></td><td class="num"><${At} at=${new Date(one.from).toISOString()} /></td><td class="r num">${duration(Math.max(0, (one.to ?? now.value) - one.from))}</td></tr>`)}</tbody></table>`;
}
