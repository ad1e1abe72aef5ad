// The only event source: one a tab, closed while the tab is hidden or the reader has paused.
import { address, get } from "./api.js";
import { signal } from "./html.js";
import { reserve } from "./parts/purse.js";

const TOPICS = "task,config,worker,leader";
const WITHIN = "5s"; // how late an event may be told: it spares the store
const LINES_S = 3; // how late a line may be told
const RETRY_MS = [1000, 2000, 4000, 8000];

/** "connecting", "live", "lost", "paused" */
export const state = signal("connecting");
/** Since when nothing is heard, in ms of the browser; null while something is. */
export const lostAt = signal(null);
/** How long the last gap was, in ms; null if there was none. */
export const gap = signal(null);

const listeners = new Set();
let source = null;
let fails = 0;
let timer = 0;
let wanted = false;

const KINDS =
  "leader leaderless clock_back gap worker config fired skipped missed submitted dispatched deferred recalled claimed completed released reaped cancelled cancel_requested born step_skipped run_ended".split(
    " ",
  );

/** Be told of events {kind, at, by, items}, and of {kind: "reset"}: read anew. */
export function listen(act) {
  listeners.add(act);
  return () => listeners.delete(act);
}

function tell(event) {
  for (const act of listeners) act(event);
}

function open() {
  clearTimeout(timer);
  source?.close();
  // A pod of an older version refuses what it does not know: then without it.
  source = new EventSource(address(`events?topics=${TOPICS}${fails % 2 ? "" : `&within=${WITHIN}`}`));
  source.onopen = () => {
    const again = lostAt.value !== null;
    if (again) gap.value = Date.now() - lostAt.value;
    fails = 0;
    lostAt.value = null;
    state.value = "live";
    if (again) tell({ kind: "reset" });
  };
  source.onerror = () => {
    if (state.value !== "paused") state.value = "lost";
    lostAt.value ??= Date.now();
    // The browser comes again by itself after a cut; after a refusal it does not.
    if (source?.readyState === EventSource.CLOSED) later();
  };
  source.addEventListener("reset", () => tell({ kind: "reset" }));
  for (const kind of KINDS)
    source.addEventListener(kind, (event) => tell({ kind, ...JSON.parse(event.data) }));
}

function later() {
  close();
  timer = setTimeout(async () => {
    try {
      await get("session"); // says so itself where the session has ended
      open();
    } catch {
      if (wanted) later();
    }
  }, RETRY_MS[Math.min(fails++, RETRY_MS.length - 1)]);
}

function close() {
  clearTimeout(timer);
  source?.close();
  source = null;
}

export function start() {
  if (wanted) return;
  wanted = true;
  open();
}

export function stop() {
  wanted = false;
  close();
}

export function pause(paused) {
  if (paused) {
    close();
    state.value = "paused";
  } else {
    state.value = "connecting";
    open();
    tell({ kind: "reset" });
  }
}

document.addEventListener("visibilitychange", () => {
  if (!wanted || state.value === "paused") return;
  if (document.hidden) close();
  else {
    open();
    tell({ kind: "reset" });
  }
});

/** Follow the lines of a task; answers how to stop. */
export function followLines(relative, act, ended) {
  let release = reserve(1 / LINES_S);
  let bare = false;
  let lines;
  const stop = () => {
    lines.close();
    release();
    release = () => {};
  };
  const begin = () => {
    lines = new EventSource(address(bare ? relative : `${relative}&within=${LINES_S}s`));
    lines.addEventListener("line", (event) => act(JSON.parse(event.data)));
    lines.addEventListener("end", () => {
      stop();
      ended();
    });
    lines.onerror = () => {
      // A pod of an older version refuses what it does not know: then without it.
      if (lines.readyState !== EventSource.CLOSED || bare) return;
      bare = true;
      begin();
    };
  };
  begin();
  return stop;
}
