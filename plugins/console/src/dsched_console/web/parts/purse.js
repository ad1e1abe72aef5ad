// What a page that is looked at may cost the store: so many calls a second, whatever happens in the cluster.
// Its stream of events and its session cost half a call more.
const CALLS_A_S = 0.38;
const SAVED = 4; // calls that a page which was quiet may make at once

/** Calls a second that something else takes meanwhile. */
let reserved = 0;
let held = SAVED;
let at = Date.now();
let timer = 0;
const waiting = [];

const rate = () => Math.max(0.06, CALLS_A_S - reserved);

function count() {
  const now = Date.now();
  held = Math.min(SAVED, held + (Math.max(0, now - at) / 1000) * rate());
  at = now;
}

function pump() {
  clearTimeout(timer);
  timer = 0;
  count();
  while (waiting.length && held > 0) {
    const { read, expected } = waiting.shift();
    held -= expected;
    read();
  }
  if (waiting.length) timer = setTimeout(pump, 50 + (1000 * Math.max(0, -held)) / rate());
}

/** Call `read`, which will cost about so many calls, when it is its turn and there is something left; answers how to leave the line. */
export function inTurn(read, expected) {
  const one = { read, expected };
  waiting.push(one);
  queueMicrotask(pump); // so that the caller knows how to leave before it is its turn
  return () => {
    const place = waiting.indexOf(one);
    if (place >= 0) waiting.splice(place, 1);
  };
}

/** What a reading has cost more than was expected; less than nothing is given back. */
export function settle(more) {
  count();
  held = Math.min(SAVED, held - more);
  if (timer) pump();
}

/** Leave so many calls a second to something that costs the store while it lasts; answers how to end that. */
export function reserve(callsAS) {
  count();
  reserved += callsAS;
  return () => {
    count();
    reserved -= callsAS;
  };
}
