// The log of a task: from the first line that is kept, searched here, followed as it grows.
import { get, path } from "../api.js";
import { html, useEffect, useMemo, useRef, useState } from "../html.js";
import { followLines } from "../live.js";
import { ask, href, route } from "../router.js";
import { clock, zoneOf } from "../time.js";
import { t } from "../text.js";
import { Choice, Trouble } from "./basics.js";
import { save } from "./value.js";

const PAGE = 500;
const MOST = 1000; // lines that are in the page at one time
const LEVELS = { warning: "WARN", critical: "CRIT" };
const LOUD = { warning: "warn", error: "error", critical: "error" };

/** All kept lines, page by page, then those that come. */
function useLines(id, follow) {
  const [found, setFound] = useState({ lines: [], complete: false, error: null });
  useEffect(() => {
    let gone = false;
    let stop = () => {};
    const held = [];
    let timer = 0;
    const show = (more) => {
      clearTimeout(timer);
      timer = setTimeout(() => !gone && setFound({ lines: [...held], complete: false, error: null, ...more }), 60);
    };
    const read = async () => {
      let after;
      for (;;) {
        const page = await get(path(["tasks", id, "logs"], { limit: PAGE, after }));
        if (gone) return;
        held.push(...page.items);
        show({ complete: page.complete });
        if (page.items.length < PAGE) {
          if (page.complete || !follow) return;
          stop = followLines(
            path(["tasks", id, "logs"], { follow: true, after: page.cursor }),
            (line) => {
              if (line.n <= (held.at(-1)?.n ?? -1)) return; // a cut stream says some again
              held.push(line);
              show();
            },
            () => show({ complete: true }),
          );
          return;
        }
        after = page.cursor;
      }
    };
    read().catch((error) => !gone && setFound({ lines: held, complete: false, error }));
    return () => {
      gone = true;
      clearTimeout(timer);
      stop();
    };
  }, [id, follow]);
  return found;
}

function marked(text, wanted) {
  if (!wanted) return text;
  const found = [];
  const low = text.toLowerCase();
  let at = 0;
  for (let hit = low.indexOf(wanted); hit >= 0; hit = low.indexOf(wanted, at)) {
    found.push(text.slice(at, hit), html`<mark>${text.slice(hit, hit + wanted.length)}</mark>`);
    at = hit + wanted.length;
  }
  return [...found, text.slice(at)];
}

export function Lines({ id, live }) {
  const { line: target, q = "", level = "all", attempt = "all" } = route.value.query;
  const [follow, setFollow] = useState(true);
  const { lines, error, complete } = useLines(id, live && follow);
  const box = useRef(null);
  const wanted = q.toLowerCase();
  const attempts = useMemo(() => [...new Set(lines.map((one) => one.attempt))], [lines]);
  const shown = useMemo(
    () => lines.filter((one) => (level === "all" || LOUD[one.level] === level) && (attempt === "all" || String(one.attempt) === attempt) && (!wanted || one.line.toLowerCase().includes(wanted))),
    [lines, level, attempt, wanted],
  );
  const index = target ? shown.findIndex((one) => String(one.n) === target) : -1;
  const first = index >= 0 ? Math.max(0, Math.min(index - 100, shown.length - MOST)) : Math.max(0, shown.length - MOST);
  const part = shown.slice(first, first + MOST);
  const missing = lines.length && lines.at(-1).n + 1 > lines.length ? lines.at(-1).n - (lines[0].n > 0 ? 0 : -1) - lines.length : 0;
  useEffect(() => {
    const line = target && box.current?.querySelector(`[data-n="${CSS.escape(target)}"]`);
    if (line) line.scrollIntoView({ block: "center" });
    else if (follow && live && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [shown.length, target]);
  const number = (kind) => lines.filter((one) => LOUD[one.level] === kind).length;
  const zone = zoneOf();
  return html`<section class="logs" id="logs" aria-labelledby="logs-title">
    <div class="logtools"><h2 id="logs-title">${t("logs")}</h2>
      ${attempts.length > 1 && html`<${Choice} label=${t("attempt")} value=${attempt} onChange=${(one) => ask({ attempt: one === "all" ? "" : one })} options=${[["all", t("all")], ...attempts.map((one) => [String(one), t("attemptN", { n: one })])]} />`}
      <input type="search" aria-label=${t("logSearch")} placeholder=${t("logSearch")} value=${q} onInput=${(event) => ask({ q: event.target.value })} />
      ${wanted && html`<span class="dim" role="status">${t("hits", { n: shown.length })}</span>`}
      <${Choice} label=${t("state")} value=${level} onChange=${(one) => ask({ level: one === "all" ? "" : one })} options=${[["all", t("logAll")], ["warn", `WARN ${number("warn")}`], ["error", `ERROR ${number("error")}`]]} />
      <span class="end">${live && !complete && html`<button type="button" class="small" data-key="f" aria-pressed=${follow} onClick=${() => setFollow(!follow)}>${t(follow ? "logFollowing" : "logFollow")}</button>`}
      <button type="button" class="link" onClick=${() => save(lines.map((one) => `${one.at} ${one.level} ${one.line}`).join("\n"), `${id}.log`)}>${t("download")}</button></span>
    </div>
    ${error && html`<${Trouble} error=${error} />`}
    <div class="lines" ref=${box} tabindex="0" role="log" aria-labelledby="logs-title" aria-live="off">
      ${part.length === 0 && html`<p class="dim pad">${t("logEmpty")}</p>`}
      ${part.map((one, at) => html`
        ${(at === 0 || part[at - 1].attempt !== one.attempt) && attempts.length > 1 && html`<p key=${`a${one.n}`} class="parting">${t("attemptN", { n: one.attempt })}</p>`}
        <p key=${one.n} data-n=${one.n} class="l-${LOUD[one.level] ?? "plain"} ${String(one.n) === target ? "target" : ""}"><a href=${href(["tasks", id], { ...route.value.query, line: one.n })}>${one.n}</a><span class="t">${clock(one.at, zone)}</span><span class="lv">${LEVELS[one.level] ?? one.level.toUpperCase()}</span><span class="tx" dir="auto">${marked(one.line, wanted)}</span></p>`)}
    </div>
    <p class="dim foot">${shown.length > part.length ? t("logShowing", { n: part.length, all: shown.length }) : t("logKept", { n: lines.length })}${missing > 0 && `, ${t("logMissing", { n: missing })}`} <span class="end">${t("logLink")}</span></p>
  </section>`;
}
