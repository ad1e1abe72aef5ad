// What events say of a run between two readings of it: it is shown at once, and costs the store nothing.
import { useEffect, useRef, useState } from "../html.js";
import { listen } from "../live.js";
import { placeOf } from "./steps.js";

const ENDED = new Set(["success", "failed", "cancelled"]);

/** What an event says of the members and steps of a run: [step, member's name or null, what]. */
function* told(id, { kind, at, items = [] }) {
  for (const one of items) {
    if (kind === "step_skipped" && one.run === id) yield [one.step, null, { reason: one.reason }];
    if (!one.task?.startsWith(`${id}~`)) continue;
    const name = one.task.slice(id.length + 1);
    if (kind === "born") yield [placeOf(one.task).step, name, { state: "live", at }];
    else if (ENDED.has(one.status)) yield [placeOf(one.task).step, name, { state: one.status, at, code: one.code ?? "", attempts: one.attempt ?? 0 }];
  }
}

function memberOf(id, name, { state, at, code = "", attempts = 0 }) {
  const { part } = placeOf(`~${name}`);
  return { id: `${id}~${name}`, name, index: part === undefined ? null : Number(part), state, attempts, code, born: at, ended: state === "live" ? null : at, taken_from: null };
}

/** A step as it was read, with what was heard since. A step of several members ends with the next reading: whether there are more of them only that tells. */
function renewed(id, step, heard) {
  const known = new Set(step.members.map((one) => one.name));
  const members = step.members.map((one) => {
    const news = heard.members.get(one.name);
    return one.state === "live" && news && news.state !== "live" ? { ...one, ...news, ended: news.at } : one;
  });
  for (const [name, news] of heard.members) if (!known.has(name)) members.push(memberOf(id, name, news));
  if (!members.length) return heard.reason === undefined || step.state !== "waiting" ? step : { ...step, state: "skipped", reason: heard.reason };
  const ended = members.filter((one) => one.state !== "live");
  const failed = ended.filter((one) => one.state !== "success").length;
  const found = { ...step, members, born: members.length, ended: ended.length, failed, total: Math.max(step.total, members.length) };
  if (step.state === "waiting") Object.assign(found, { state: "running", start_time: step.start_time ?? members[0].born });
  const alone = members.length === 1 && members[0].index === null && ended.length === 1;
  if (alone && !step.end_time) Object.assign(found, { state: failed ? "failed" : "success", end_time: ended[0].ended });
  return found;
}

/** `steps` of the run `id`, as they were read, with what events have told since. */
export function useNewsOf(id, steps) {
  const heard = useRef(new Map());
  const [, again] = useState(0);
  useEffect(() => {
    heard.current = new Map();
    return listen((event) => {
      let any = false;
      for (const [step, name, what] of told(id, event)) {
        if (!heard.current.has(step)) heard.current.set(step, { members: new Map() });
        const of = heard.current.get(step);
        if (name === null) Object.assign(of, what);
        else if (!ENDED.has(of.members.get(name)?.state)) of.members.set(name, what);
        any = true;
      }
      if (any) again((n) => n + 1);
    });
  }, [id]);
  return steps?.map((one) => (heard.current.has(one.id) ? renewed(id, one, heard.current.get(one.id)) : one));
}
