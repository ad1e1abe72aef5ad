// The cluster at a glance, which every page shows in its frame: one request for all of them.
import { get } from "../api.js";
import { effect, signal } from "../html.js";
import { listen, state } from "../live.js";
import { session } from "../session.js";
import { heardOf } from "../time.js";

const EVERY_MS = 5000;

/** What GET /now answered last, or null. */
export const cluster = signal(null);
export const trouble = signal(null);
let timer = 0;
let last = 0;
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
  if (timer || !session.value || state.value === "paused") return;
  timer = setTimeout(read, Math.max(waitMs, last + waitMs - Date.now()));
}

listen((event) => {
  if (event.kind === "reset") read();
  else soon(EVERY_MS);
});
effect(() => {
  if (session.value) read();
});
setInterval(() => {
  if (!document.hidden) soon(EVERY_MS);
}, 15_000);
