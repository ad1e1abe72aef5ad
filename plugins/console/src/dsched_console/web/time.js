// Instants and durations as people read them. The clock is the server's, the zone is always said.
import { signal, effect } from "./html.js";
import { lang, t } from "./text.js";

export const BROWSER_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const KEY = "dsched.zone";
/** "browser", "utc" or "own" */
export const zoneChoice = signal(localStorage.getItem(KEY) ?? "browser");
effect(() => localStorage.setItem(KEY, zoneChoice.value));

/** How much the server's clock is ahead of the browser's, in ms. */
export const ahead = signal(0);
/** The server's time, a second at a time. */
export const now = signal(Date.now());
export function heardOf(serverTime) {
  ahead.value = Date.parse(serverTime) - Date.now();
  now.value = Date.now() + ahead.value;
}
setInterval(() => {
  if (!document.hidden) now.value = Date.now() + ahead.value;
}, 1000);

/** The zone to show an instant in; `own` is that of its config. */
export function zoneOf(own) {
  if (zoneChoice.value === "utc") return "UTC";
  return zoneChoice.value === "own" && own ? own : BROWSER_ZONE;
}

const formats = new Map();
function format(zone, options) {
  const key = `${lang.value} ${zone} ${JSON.stringify(options)}`;
  if (!formats.has(key)) {
    const made = { hourCycle: "h23", ...options };
    try {
      formats.set(key, new Intl.DateTimeFormat(t("locale"), { ...made, timeZone: zone }));
    } catch {
      formats.set(key, new Intl.DateTimeFormat(t("locale"), { ...made, timeZone: "UTC" }));
    }
  }
  return formats.get(key);
}

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
const SHORT = { hour: "2-digit", minute: "2-digit" };
const DAY = { weekday: "short", day: "numeric", month: "short" };
const DATE = { year: "numeric", month: "2-digit", day: "2-digit" };

export const clock = (at, zone, short = false) =>
  format(zone, short ? SHORT : CLOCK).format(new Date(at));
export const day = (at, zone) => format(zone, DAY).format(new Date(at));
const sameDay = (a, b, zone) => format(zone, DATE).format(a) === format(zone, DATE).format(b);

/** "UTC+1" */
export function offset(at, zone) {
  const parts = format(zone, { timeZoneName: "shortOffset" }).formatToParts(new Date(at));
  return (parts.find((one) => one.type === "timeZoneName")?.value ?? "UTC").replace("GMT", "UTC");
}

/** An instant: the clock alone on the same day, else the day too. */
export function when(at, zone = zoneOf()) {
  const ms = typeof at === "number" ? at : Date.parse(at);
  if (!Number.isFinite(ms)) return String(at);
  const short = ms % 60_000 === 0;
  if (sameDay(ms, now.peek(), zone)) return clock(ms, zone, short);
  const year = new Date(ms).getUTCFullYear() === new Date(now.peek()).getUTCFullYear();
  const date = year ? day(ms, zone) : `${day(ms, zone)} ${format(zone, { year: "numeric" }).format(ms)}`;
  return `${date} ${clock(ms, zone, short)}`;
}

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
];

/** "3 m 12 s", "820 ms": two units at most. */
export function duration(ms, parts = 2) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return "";
  const size = Math.abs(ms);
  if (size < 1000) return `${Math.round(size)} ms`;
  if (size < 10_000) return `${(size / 1000).toFixed(1)} s`;
  let left = Math.round(size / 1000) * 1000;
  const found = [];
  for (const [unit, length] of UNITS) {
    const count = Math.floor(left / length);
    left -= count * length;
    if (count || found.length)
      found.push(`${found.length && unit !== "h" ? String(count).padStart(2, "0") : count} ${unit}`);
    if (found.length === parts) break;
  }
  while (found.length > 1 && /^0+ /.test(found.at(-1))) found.pop();
  return found.join(" ");
}

/** "in 23 s", "9 h ago", by the server's clock. */
export function relative(at, short = false) {
  const ms = (typeof at === "number" ? at : Date.parse(at)) - now.value;
  const parts = Math.abs(ms) < 600_000 && !short ? 2 : 1;
  const text = Math.abs(ms) < 1000 ? "0 s" : duration(Math.round(Math.abs(ms) / 1000) * 1000, parts).replace(".0 s", " s");
  return ms > -1000 ? t("in", { text }) : t("ago", { text });
}

const number = (value) => new Intl.NumberFormat(t("locale")).format(value);
export const count = (value) => (typeof value === "number" ? number(value) : String(value ?? ""));

const PARTS = { ...DATE, ...CLOCK };
/** How much a zone's clock is ahead of UTC at an instant, in ms. */
function aheadOf(ms, zone) {
  const said = Object.fromEntries(format(zone, PARTS).formatToParts(ms).map((one) => [one.type, Number(one.value)]));
  return Date.UTC(said.year, said.month - 1, said.day, said.hour, said.minute, said.second) - Math.floor(ms / 1000) * 1000;
}

/** The date of an instant in a zone: "2026-12-01". */
export function dateOf(ms, zone) {
  return new Date(ms + aheadOf(ms, zone)).toISOString().slice(0, 10);
}

/** The instant at which a date begins in a zone: where clocks change at midnight, its first one. */
export function startOf(date, zone) {
  const wanted = Date.parse(`${date}T00:00:00Z`);
  let found = wanted - aheadOf(wanted, zone);
  found = wanted - aheadOf(found, zone);
  return dateOf(found, zone) < date ? found + 3_600_000 : found;
}

/** A date some days later. */
export const addDays = (date, days) => new Date(Date.parse(`${date}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
/** A date in words: "Tue 1 Dec 2026". */
export const dateText = (date, year = true) => format("UTC", year ? { ...DAY, year: "numeric" } : DAY).format(Date.parse(`${date}T00:00:00Z`));
