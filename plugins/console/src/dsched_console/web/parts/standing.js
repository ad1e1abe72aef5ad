// The cluster at a glance, which every page shows in its frame: one request for all of them.
import { get, getAgain } from "../api.js";
import { effect, signal } from "../html.js";
import { listen, state } from "../live.js";
import { session } from "../session.js";
import { heardOf } from "../time.js";
import { inTurn, settle } from "./purse.js";

const EVERY_MS = 10_000;
const MAX_AGE_S = 2;

/** What GET /now answered last, or null. */
export const cluster = signal(null);
export const trouble = signal(null);
let timer = 0;
let last = 0;
let planned = 0;
let busy = false;
let leave = null;
let calls = 3; // what a reading costs: as the last one did

/** Reads it, at once; `told` of a reading in its turn hears what that has cost. */
export async function read(told) {
  leave?.();
  leave = null;
  clearTimeout(timer);
  timer = 0;
  if (busy) return;
  busy = true;
  last = Date.now();
  try {
    const found = told ? await getAgain("now", MAX_AGE_S, told) : await get("now");
    heardOf(found.time);
    cluster.value = found;
    trouble.value = null;
  } catch (error) {
    trouble.value = error;
  } finally {
    busy = false;
  }
}

function inLine() {
  timer = 0;
  const expected = calls;
  const told = (cost) => {
    settle(cost - expected);
    calls = cost;
  };
  leave = inTurn(() => {
    leave = null;
    read(told);
  }, expected);
}

/** Reads it after a while, when the purse allows; what is `urgent` does not wait for that. */
function soon(waitMs, urgent = false) {
  if (!session.value || (leave && !urgent) || state.value === "paused") return;
  const at = Math.max(Date.now() + waitMs, last + waitMs);
  if (timer && planned <= at && !urgent) return;
  clearTimeout(timer);
  planned = at;
  timer = setTimeout(urgent ? () => read() : inLine, at - Date.now());
}

/** What has ended runs no more, also before the next answer says so. */
function ended(event) {
  const ids = new Set(event.items?.map((one) => one.task));
  const left = cluster.value?.running.filter((one) => !ids.has(one.task.id));
  if (left && left.length < cluster.value.running.length) cluster.value = { ...cluster.value, running: left };
}

listen((event) => {
  if (event.kind === "completed") ended(event);
  if (event.kind === "reset") read();
  else if (event.kind === "leader" || event.kind === "leaderless") soon(500, true);
  else soon(EVERY_MS);
});
effect(() => {
  if (session.value) read();
});
setInterval(() => {
  if (!document.hidden) soon(EVERY_MS);
}, 15_000);
