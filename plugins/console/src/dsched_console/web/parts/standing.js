// The cluster at a glance, which every page shows in its frame: one request for all of them.
import { get } from "../api.js";
import { effect, signal } from "../html.js";
import { listen, state } from "../live.js";
import { session } from "../session.js";
import { heardOf } from "../time.js";

const EVERY_MS = 10_000;

/** What GET /now answered last, or null. */
export const cluster = signal(null);
export const trouble = signal(null);
let timer = 0;
let last = 0;
let planned = 0;
let busy = false;

export async function read() {
  clearTimeout(timer);
  timer = 0;
  if (busy) return;
  busy = true;
  last = Date.now();
  try {
    const found = await get("now");
    heardOf(found.time);
    cluster.value = found;
    trouble.value = null;
  } catch (error) {
    trouble.value = error;
  } finally {
    busy = false;
  }
}

function soon(waitMs) {
  if (!session.value || state.value === "paused") return;
  const at = Math.max(Date.now() + waitMs, last + waitMs);
  if (timer && planned <= at) return;
  clearTimeout(timer);
  planned = at;
  timer = setTimeout(read, at - Date.now());
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
  else if (event.kind === "leader" || event.kind === "leaderless") soon(500);
  else soon(EVERY_MS);
});
effect(() => {
  if (session.value) read();
});
setInterval(() => {
  if (!document.hidden) soon(EVERY_MS);
}, 15_000);
