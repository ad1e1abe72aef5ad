// A config that is being written: what the server says of it while it is typed.
import { ApiError, get, path, post, put } from "../api.js";
import { useEffect, useRef, useState } from "../html.js";

const WAIT_MS = 350;
const LOOKED_AT = 200; // fires of before and after that are compared
const TRIGGER = ["cron_expr", "every", "fixed_delay", "at", "timezone", "dst_gap", "dst_overlap", "start_at", "end_at", "calendar"];
const DAYS_MS = 30 * 86_400_000;
export const KINDS = ["cron_expr", "every", "fixed_delay", "at"];
const ID = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$/;

export const kindOf = (entry) => KINDS.find((key) => entry[key] !== undefined) ?? "cron_expr";
/** A whole minute of a cron expression, else null. */
export const minuteOf = (entry) => /^(\d+)( \S+){4}$/.exec((entry.cron_expr ?? "").trim())?.[1] ?? null;
export const withH = (expression) => expression.trim().replace(/^\d+/, "H");
const triggerOf = (entry) => Object.fromEntries(TRIGGER.filter((key) => entry[key] !== undefined).map((key) => [key, entry[key]]));

async function tried(act) {
  try {
    return { value: await act(), error: null };
  } catch (error) {
    return { value: null, error: error instanceof ApiError ? error : new ApiError({ code: "internal" }) };
  }
}

/** How fires change within thirty days: {days, before, after, same}; null where it cannot be said. */
export function changed(before, after, nowMs) {
  if (!before || !after) return null;
  const last = (found) => (found.truncated ? Date.parse(found.items.at(-1).time) : Infinity);
  const end = Math.min(nowMs + DAYS_MS, last(before), last(after));
  const within = (found) => found.items.map((one) => one.time).filter((time) => Date.parse(time) <= end);
  const old = new Set(within(before));
  const next = within(after);
  return { ms: end - nowMs, before: old.size, after: next.length, same: next.filter((time) => old.has(time)).length };
}

async function hourOf(time) {
  const from = Date.parse(time) - (Date.parse(time) % 3_600_000);
  const iso = (ms) => new Date(ms).toISOString();
  return get(path(["load"], { from: iso(from), to: iso(from + 3_600_000), cell: "1m" }));
}

/** What there is to say of the trigger: its next fires, the minutes of the first one's hour, and `H`. */
async function explain(id, entry) {
  const wanted = { ...triggerOf(entry), ...(ID.test(id) ? { id } : {}) };
  const next = await tried(() => post("preview", { ...wanted, limit: LOOKED_AT }));
  const first = next.value?.items[0];
  if (!first) return { next, hour: null, spread: null };
  const hour = await tried(() => hourOf(first.time));
  let spread = null;
  if (minuteOf(entry) !== null) {
    const found = await tried(() => post("preview", { ...wanted, cron_expr: withH(entry.cron_expr), limit: 1 }));
    spread = found.value?.items[0]?.time ?? null;
  }
  return { next, hour: hour.value, spread };
}

/** What the server says of a draft; `judge` is whether the session may put it. */
export function useJudged(id, entry, judge) {
  const [said, setSaid] = useState({ next: null, hour: null, spread: null, errors: [], warnings: [], ms: null });
  const turn = useRef(0);
  const key = JSON.stringify([id, entry], (_, value) => value?.text ?? value);
  useEffect(() => {
    const mine = ++turn.current;
    const timer = setTimeout(async () => {
      const began = performance.now();
      const [found, dry] = await Promise.all([
        explain(id, entry),
        judge && ID.test(id) ? tried(() => put(path(["configs", id], { dry_run: true, adopt: true }), entry)) : { value: null, error: null },
      ]);
      if (mine !== turn.current) return;
      const own = found.next.error?.errors ?? [];
      const errors = dry.error?.errors?.length ? dry.error.errors : own;
      const rest = [dry.error, found.next.error].find((one) => one && !one.errors?.length);
      setSaid({
        next: found.next.value,
        hour: found.hour,
        spread: found.spread,
        errors,
        refused: rest ?? null,
        warnings: dry.value?.warnings ?? [],
        ms: Math.round(performance.now() - began),
      });
    }, WAIT_MS);
    return () => clearTimeout(timer);
  }, [key]);
  return said;
}

/** Save a draft: as a change of the revision that was read, or as a new config. */
export function save(id, entry, revision) {
  const headers = revision === null ? { "If-None-Match": "*" } : { "If-Match": `"${revision}"` };
  return put(path(["configs", id]), entry, headers);
}
