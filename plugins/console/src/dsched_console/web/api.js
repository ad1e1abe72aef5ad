// The only file that fetches. What is answered is parsed exactly; what is refused is an ApiError.
import { parse, stringify } from "./json.js";

// This file is PREFIX/ui/-/HASH/api.js.
export const UI = new URL("../../", import.meta.url).pathname;
const API = new URL("../api/v1/", new URL("../../", import.meta.url)).pathname;
const PATIENCE_MS = 20_000;
const UNTOLD = 2; // store calls of an answer of an older pod, which does not say

/** What the API refused, or that it did not answer. */
export class ApiError extends Error {
  constructor({ status = 0, code = "unreachable", detail = "", errors = [], hint = "" }) {
    super(detail || code);
    Object.assign(this, { status, code, detail, errors, hint });
  }
}

let onSignedOut = () => {};

/** What to do when the session has ended. */
export function whenSignedOut(act) {
  onSignedOut = act;
}

/** The address of a resource; parts are escaped, so that names may be any text. */
export function path(parts, query = {}) {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== null && value !== "") found.set(name, String(value));
  const text = found.toString();
  return parts.map((part) => encodeURIComponent(part)).join("/") + (text ? `?${text}` : "");
}

export const address = (relative) => API + relative;

async function ask(method, relative, { body, headers = {}, cost } = {}) {
  const given = { method, headers, credentials: "same-origin", cache: "no-store" };
  given.signal = AbortSignal.timeout(PATIENCE_MS);
  if (body !== undefined) {
    given.body = stringify(body);
    headers["Content-Type"] = "application/json";
  }
  let answer;
  let text;
  try {
    answer = await fetch(API + relative, given);
    text = await answer.text();
  } catch {
    throw new ApiError({});
  }
  cost?.(Number(answer.headers.get("Dsched-Store-Calls") ?? UNTOLD));
  let value = null;
  try {
    value = text ? parse(text) : null;
  } catch {
    if (answer.ok) throw new ApiError({ status: answer.status, code: "unreadable" });
  }
  if (answer.ok) return value;
  const problem = value !== null && typeof value === "object" ? value : {};
  if (answer.status === 401) onSignedOut();
  throw new ApiError({ code: "internal", ...problem, status: answer.status });
}

export const get = (relative) => ask("GET", relative);
/** The same, where an answer will do that another viewer got in the last `maxAgeS`, unless something was heard since; `cost` is told its store calls. */
export const getAgain = (relative, maxAgeS, cost) => ask("GET", relative, { headers: { "Cache-Control": `max-age=${maxAgeS}` }, cost });
export const post = (relative, body = {}, headers = {}) => ask("POST", relative, { body, headers });
export const put = (relative, body, headers = {}) => ask("PUT", relative, { body, headers });
export const remove = (relative) => ask("DELETE", relative);
