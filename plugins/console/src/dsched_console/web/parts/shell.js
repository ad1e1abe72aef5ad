// The frame of all pages: top, navigation, status line, and the bar of a narrow screen.
import { html, useEffect, useRef, useState } from "../html.js";
import * as live from "../live.js";
import { go, href, route } from "../router.js";
import { logOut, session } from "../session.js";
import { lang, speak, t } from "../text.js";
import { theme, turn } from "../theme.js";
import { BROWSER_ZONE, clock, duration, now, offset, zoneChoice, zoneOf } from "../time.js";
import { act, Acting, said, say } from "./acts.js";
import { Choice, Key } from "./basics.js";
import { Glyph } from "./glyph.js";
import { Icon, Logo } from "./icons.js";
import { cluster } from "./standing.js";

const PAGES = [
  ["now", "n"],
  ["configs", "c"],
  ["tasks", "t"],
  ["calendar", "d"],
  ["problems", "p"],
  ["workers", "w"],
  ["limits", "l"],
  ["cluster", "k"],
];
const address = (name) => href(name === "now" ? [] : [name]);
const here = () => ({ new: "configs" })[route.value.parts[0]] ?? route.value.parts[0] ?? "now";

function Badge() {
  const n = cluster.value?.problems.length ?? 0;
  return n ? html`<span class="badge">${n}</span>` : null;
}

function Nav() {
  return html`<nav class="side" aria-label=${t("navigation")}>
    ${PAGES.map(
      ([name, key]) => html`<a key=${name} href=${address(name)} aria-current=${here() === name ? "page" : undefined} class=${name === "workers" ? "apart" : ""}>
        <${Icon} name=${name} /><span>${t(name)}</span>${name === "problems" && html`<${Badge} />`}
        ${!(name === "problems" && cluster.value?.problems.length) && html`<span class="keys" aria-hidden="true">g ${key}</span>`}
      </a>`,
    )}
  </nav>`;
}

function Bar() {
  return html`<nav class="bar" aria-label=${t("navigation")}>
    ${["now", "configs", "tasks", "problems", "cluster"].map(
      (name) => html`<a key=${name} href=${address(name)} aria-current=${here() === name ? "page" : undefined}>
        <span class="over"><${Icon} name=${name} />${name === "problems" && html`<${Badge} />`}</span>${t(name)}
      </a>`,
    )}
  </nav>`;
}

function Live() {
  const state = live.state.value;
  const lost = live.lostAt.value;
  const text = state === "lost" && lost ? `${t("lost")} ${duration(Math.max(0, now.value - (now.value - Date.now()) - lost), 1)}` : t(state);
  return html`<button type="button" class="live is-${state}" aria-label=${`${text}. ${t(state === "paused" ? "resumeLive" : "pauseLive")}`}
    title=${t(state === "paused" ? "resumeLive" : "pauseLive")} onClick=${() => live.pause(state !== "paused")}>
    <span class="dot"></span>${text}
  </button>`;
}

function Zones() {
  return html`<div class="zones"><${Choice} label=${t("zone")} value=${zoneChoice.value} onChange=${(value) => { zoneChoice.value = value; }}
    options=${[["browser", BROWSER_ZONE], ["utc", "UTC"], ["own", t("zoneOwn")]]} /></div>`;
}

function Search() {
  const field = useRef(null);
  useEffect(() => {
    const focus = () => field.current.focus();
    addEventListener("dsched:search", focus);
    return () => removeEventListener("dsched:search", focus);
  }, []);
  const jump = (event) => {
    event.preventDefault();
    const text = field.current.value.trim();
    if (!text) return;
    field.current.value = "";
    field.current.blur();
    if (text.includes("@")) go(href(["tasks", text]));
    else go(href(["configs"], { q: text }));
  };
  return html`<form class="search" role="search" onSubmit=${jump}>
    <${Icon} name="search" /><input ref=${field} type="search" aria-label=${t("search")} placeholder=${t("search")} /><${Key}>/<//>
  </form>`;
}

function Top() {
  const who = session.value;
  return html`<header class="top">
    <a class="brand" href=${href([])} aria-label="dsched"><${Logo} /><b>dsched</b></a>
    <${Search} />
    <div class="tools">
      <${Live} /><${Zones} />
      <button type="button" class="tool" aria-label=${t("languageSwitch")} title=${t("languageSwitch")} onClick=${() => speak(lang.value === "en" ? "zh" : "en")}>${lang.value === "en" ? "ZH" : "EN"}</button>
      <button type="button" class="tool" aria-label=${t("theme")} title=${t("theme")} onClick=${turn}><${Icon} name="sun" /></button>
      <button type="button" class="tool wide" aria-label=${t("help")} title=${t("help")} onClick=${() => dispatchEvent(new Event("dsched:help"))}><kbd>?</kbd></button>
      <button type="button" class="who" aria-label=${t("user", who)} title=${t("user", who)} onClick=${logOut}>${who.name.replace(/:.*/, "").slice(0, 2)}</button>
    </div>
  </header>`;
}

function StatusLine() {
  const found = cluster.value;
  const zone = zoneOf();
  return html`<footer class="status">
    ${found && html`<span>${found.leader ? html`<${Glyph} kind="success" /> ${t("leader")} <b dir="auto">${found.leader.pod}</b>` : html`<${Glyph} kind="failed" /> <b class="bad">${t("noLeader")}</b>`}</span>
    ${found.leader && html`<span>${t("term")} <b>${found.leader.epoch}</b>${found.leader.since && ` ${t("sinceText", { text: clock(found.leader.since, zone, true) })}`}</span>`}
    <span>${t("pods")} <b>${found.pods}</b></span>
    <span>${t("workers")} <b>${found.workers.present} / ${found.workers.count}</b></span>`}
    <span class="end">${clock(now.value, zone)} ${zone} (${offset(now.value, zone)})</span>
  </footer>`;
}

function Help() {
  const dialog = useRef(null);
  useEffect(() => {
    const open = () => dialog.current.showModal();
    addEventListener("dsched:help", open);
    return () => removeEventListener("dsched:help", open);
  }, []);
  const rows = [
    ["/", t("keySearch")],
    ...PAGES.map(([name, key]) => [`g ${key}`, t(name)]),
    ["j k", t("keyMove")],
    ["t", t("keyTrigger")],
    ["p", t("keyPause")],
    ["l", t("keyLogs")],
    ["f", t("keyFollow")],
    ["e", t("keyEdit")],
    ["n", t("keyNew")],
    ["?", t("keyHelp")],
  ];
  return html`<dialog ref=${dialog} aria-labelledby="help-title">
    <h2 id="help-title">${t("keysTitle")}</h2>
    <dl class="keylist">${rows.map(([key, what]) => html`<div key=${key}><dt><kbd>${key}</kbd></dt><dd>${what}</dd></div>`)}</dl>
    <div class="buttons"><button type="button" onClick=${() => dialog.current.close()}>${t("close")}</button></div>
  </dialog>`;
}

/** Keys that work everywhere; what a page does with t, p, l, f it says by `data-key`. */
function useKeys() {
  useEffect(() => {
    let after = 0;
    const press = (event) => {
      const into = event.target.closest?.("input, textarea, select, dialog, [contenteditable]");
      if (event.metaKey || event.ctrlKey || event.altKey) return;
      if (event.key === "Escape" && event.target.matches?.("input")) event.target.blur();
      if (into || document.querySelector("dialog[open]")) return;
      const chord = Date.now() - after < 1000;
      after = 0;
      const page = chord && PAGES.find(([, key]) => key === event.key);
      if (page) go(address(page[0]));
      else if (event.key === "g") after = Date.now();
      else if (event.key === "/") dispatchEvent(new Event("dsched:search"));
      else if (event.key === "?") dispatchEvent(new Event("dsched:help"));
      else if (event.key === "j" || event.key === "k") dispatchEvent(new CustomEvent("dsched:row", { detail: event.key }));
      else {
        const button = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === event.key);
        if (!button) return;
        button.click();
      }
      event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

export function Shell({ children }) {
  useKeys();
  const gap = live.gap.value;
  return html`<div class="shell">
    <a class="skip" href="#content" onClick=${(event) => { event.preventDefault(); document.querySelector("#content").focus(); }}>${t("skipToContent")}</a>
    <${Top} /><${Nav} />
    <main id="content" tabindex="-1">
      ${gap !== null && gap > 1000 && html`<p class="notice" role="status">${t("gap", { text: duration(gap) })} <button type="button" class="link" onClick=${() => { live.gap.value = null; }}>${t("dismiss")}</button></p>`}
      ${children}
    </main>
    <${StatusLine} /><${Bar} />
    <${Acting} /><${Help} />
    <div class="said" role="status" aria-live="polite">${said.value}</div>
  </div>`;
}

export { act, say, theme, useState };
