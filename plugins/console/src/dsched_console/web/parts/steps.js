// Steps and members of runs in words, and what a run makes of them.
import { duration, now, when } from "../time.js";
import { t } from "../text.js";

/** The state of a step as one of the shapes. */
export const STEP_GLYPHS = { waiting: "waiting", running: "running", success: "success", failed: "failed", skipped: "skipped" };
/** The state of a member, or of one that is not born yet, as one of the shapes. */
export const MEMBER_GLYPHS = { live: "running", success: "success", failed: "failed", cancelled: "skipped", skipped: "skipped", unborn: "due" };
export const MEMBER_STATES = Object.keys(MEMBER_GLYPHS);

/** Whether a task that was read in full is a run of many. */
export const isRun = (task) => Boolean(task.spec && ("steps" in task.spec || "shards" in task.spec));
/** Whether a task of a list is one: no worker ever has a run, and it has no attempts of its own. */
export const looksLikeRun = (task) => task.home === "open" || (task.run_id === null && task.worker_id === null && task.attempt === 0 && task.start_time !== null);

/** Step and part of a member, by its id: {step, part}; the step of a run of shards is empty. */
export function placeOf(id) {
  const name = id.slice(id.indexOf("~") + 1);
  if (/^\d+$/.test(name)) return { step: "", part: name };
  const [step, part] = name.split("~");
  return { step, part };
}
/** "step load", "step tables, part 3", "part 3" */
export function placeText(id) {
  const { step, part } = placeOf(id);
  return [step && t("stepNamed", { name: step }), part !== undefined && t("partN", { n: part })].filter(Boolean).join(", ");
}

/** A run as its members name it: its instant where it has one, else its id. */
export function runName(id) {
  const at = /@(-?\d+)$/.exec(id);
  return at ? when(Number(at[1])) : id;
}

export const nameOf = (step) => step.id || t("shards");
export const stepWord = (step) => (step.state === "failed" && step.allow_failure ? t("failedAllowed") : t(`step_${step.state}`));
export const memberWord = (state) => t(`member_${state}`);

/** How long a step took, or takes. */
export function tookOf(step) {
  if (!step.start_time) return null;
  return Math.max(0, (step.end_time ? Date.parse(step.end_time) : now.value) - Date.parse(step.start_time));
}
export const stepTook = (step) => duration(tookOf(step));

/** What else there is to say of a step: parts, attempts, when it runs, why it was left out. */
export function tellOf(step) {
  const told = [];
  const attempts = Math.max(0, ...(step.members ?? []).map((one) => one.attempts));
  if (step.reason) told.push(step.reason);
  if (step.total > 1) told.push(t("endedOf", { n: step.ended, all: step.total }));
  if (step.total > 1 && step.failed) told.push(t("failedN", { n: step.failed }));
  if (step.total === 1 && attempts > 1) told.push(t("attemptN", { n: attempts }));
  if (step.parts) told.push(step.parts);
  if (step.taken) told.push(step.total > 1 ? t("takenN", { n: step.taken }) : t("taken"));
  if (step.when && step.when !== "success") told.push(t(`when_${step.when}`));
  if (step.allow_failure && step.state !== "failed") told.push(t("mayFail"));
  return told;
}

/** How many members there are in each state, those that are not born yet as well. */
export function countsOf(step) {
  const found = Object.fromEntries(MEMBER_STATES.map((one) => [one, 0]));
  for (const one of step.members) found[one.state] = (found[one.state] ?? 0) + 1;
  found.unborn = step.state === "skipped" ? 0 : Math.max(0, step.total - step.born);
  return found;
}

/** The steps that took longest, one after the other, as a set of ids; `next` has the one after each. */
export function criticalPath(steps) {
  const byId = new Map(steps.map((one) => [one.id, one]));
  const endOf = (one) => (one.end_time ? Date.parse(one.end_time) : now.peek());
  const latest = (list) => list.filter((one) => one?.start_time).reduce((most, one) => (most && endOf(most) >= endOf(one) ? most : one), null);
  const found = new Set();
  found.next = new Map();
  for (let at = latest(steps); at && !found.has(at.id); ) {
    found.add(at.id);
    const before = latest(at.needs.map((need) => byId.get(need)));
    if (before) found.next.set(before.id, at.id);
    at = before;
  }
  return found;
}

/** What a retry from failure runs again for certain, and what it keeps: ids of steps. */
export function retryOf(steps) {
  const kept = new Set();
  const again = [];
  for (const one of steps) {
    const left = one.state === "skipped" && one.reason === "nothing failed";
    const well = one.state === "success" || left || (one.state === "failed" && one.allow_failure);
    if (well && one.needs.every((need) => kept.has(need))) kept.add(one.id);
    else if (one.when === "success") again.push(one.id);
  }
  return { again, kept: steps.filter((one) => kept.has(one.id) && one.born > 0).map((one) => one.id) };
}
