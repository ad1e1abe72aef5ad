// The lines of all members of a run, by their time, each with its step: some members at a time.
import { get, path } from "../api.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { state } from "../live.js";
import { href } from "../router.js";
import { clock, zoneOf } from "../time.js";
import { t } from "../text.js";
import { Trouble } from "./basics.js";
import { inTurn } from "./purse.js";
import { nameOf } from "./steps.js";

const MEMBERS = 20; // whose lines are read at one time
const PAGE = 500; // lines of a member at one time
const AT_ONCE = 4;
const FOLLOW_MS = 2000; // one member is read on each time, as the purse allows
const MOST = 1000; // lines that are in the page
const LEVELS = { warning: "WARN", critical: "CRIT" };
const LOUD = { warning: "warn", error: "error", critical: "error" };

/** The lines of `members` as {id: {lines, cursor, complete}}, read once; while the reader follows, those of live ones are read on, one after the other. */
function useMemberLines(members, follow) {
  const held = useRef(new Map());
  const wanted = useRef(members);
  const following = useRef(follow);
  following.current = follow;
  wanted.current = members;
  const [, shown] = useState(0);
  const [error, setError] = useState(null);
  const key = members.map((one) => one.id).join();

  const readOn = async (member) => {
    const known = held.current.get(member.id) ?? { lines: [], cursor: undefined, complete: false };
    try {
      const page = await get(path(["tasks", member.id, "logs"], { limit: PAGE, after: known.cursor }));
      const lines = [...known.lines, ...page.items];
      const whole = page.items.length < PAGE;
      held.current.set(member.id, { lines, cursor: page.cursor ?? known.cursor, complete: page.complete && whole, at: Date.now() });
      setError(null);
    } catch (problem) {
      if (problem.code === "not_found") held.current.set(member.id, { ...known, complete: true });
      else setError(problem);
    }
  };

  useEffect(() => {
    let gone = false;
    const left = members.filter((one) => !held.current.has(one.id));
    const work = async () => {
      for (let one = left.shift(); one && !gone; one = left.shift()) {
        await readOn(one);
        if (!gone) shown((n) => n + 1);
      }
    };
    for (let n = 0; n < AT_ONCE; n++) work();
    let leave = null;
    const readNext = async () => {
      leave = null;
      const open = wanted.current.filter((one) => held.current.has(one.id) && !held.current.get(one.id).complete);
      const next = open.sort((a, b) => (held.current.get(a.id).at ?? 0) - (held.current.get(b.id).at ?? 0))[0];
      if (!next) return;
      await readOn(next);
      if (!gone) shown((n) => n + 1);
    };
    const timer = setInterval(() => {
      if (following.current && !leave && !document.hidden && state.value !== "paused") leave = inTurn(readNext, 1);
    }, FOLLOW_MS);
    return () => {
      gone = true;
      leave?.();
      clearInterval(timer);
    };
  }, [key]);
  const read = members.filter((one) => held.current.has(one.id));
  const lines = read.flatMap((one) => held.current.get(one.id).lines.map((line) => ({ ...line, member: one })));
  return { lines: lines.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0)), error, busy: read.length < members.length && !error };
}

/** `steps` are those of the run whose members are asked for: failed ones come first. */
export function RunLog({ steps }) {
  const [most, setMost] = useState(MEMBERS);
  const [follow, setFollow] = useState(false);
  const rank = { failed: 0, live: 1, cancelled: 2, success: 3 };
  const all = steps.flatMap((step) => step.members.map((one) => ({ ...one, step })));
  const order = useRef(new Map()); // what is shown stays, also when it ends
  for (const one of all.toSorted((a, b) => (rank[a.state] ?? 9) - (rank[b.state] ?? 9))) if (!order.current.has(one.id)) order.current.set(one.id, order.current.size);
  const members = all.toSorted((a, b) => order.current.get(a.id) - order.current.get(b.id)).slice(0, most);
  const { lines, error, busy } = useMemberLines(members, follow);
  const shown = lines.slice(-MOST);
  const zone = zoneOf();
  return html`<section class="logs runlog" aria-labelledby="runlog-title" aria-busy=${busy ? "true" : undefined}>
    <div class="logtools"><h2 id="runlog-title">${t("logsOfMembers")}</h2><span class="dim" role="status">${t("logsOf", { n: members.length, all: all.length })}</span>
      <span class="end acts">${all.some((one) => one.state === "live") && html`<button type="button" class="small" data-key="f" aria-pressed=${follow} onClick=${() => setFollow(!follow)}>${t(follow ? "logFollowing" : "logFollow")}</button>`}${all.length > most && html`<button type="button" class="small" onClick=${() => setMost(most + MEMBERS)}>${t("moreMembers")}</button>`}</span></div>
    ${error && html`<${Trouble} error=${error} />`}
    <div class="lines" tabindex="0" role="log" aria-labelledby="runlog-title" aria-live="off">
      ${shown.length === 0 && !busy && html`<p class="dim pad">${t("logEmpty")}</p>`}
      ${shown.map((one) => html`<p key=${`${one.member.id} ${one.n}`} data-n=${one.n} class="l-${LOUD[one.level] ?? "plain"}"><a class="clip" dir="auto" title=${one.member.name} href=${href(["tasks", one.member.id], { line: one.n })}>${one.member.name || nameOf(one.member.step)}</a><span class="t">${clock(one.at, zone)}</span><span class="lv">${LEVELS[one.level] ?? one.level.toUpperCase()}</span><span class="tx" dir="auto">${one.line}</span></p>`)}
    </div>
    <p class="dim foot">${lines.length > shown.length ? t("logShowing", { n: shown.length, all: lines.length }) : t("logKept", { n: lines.length })}</p>
  </section>`;
}
