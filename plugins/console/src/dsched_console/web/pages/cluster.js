// The cluster: pods, terms of leadership, what is installed.
import { address, path } from "../api.js";
import { html } from "../html.js";
import { duration, now } from "../time.js";
import { t } from "../text.js";
import { Ago, At, Loaded, Title } from "../parts/basics.js";
import { State } from "../parts/glyph.js";
import { useList, useResource } from "../parts/resource.js";

function podState(pod) {
  if (pod.draining) return ["paused", "draining"];
  if (!pod.ready) return ["late", "notReady"];
  return pod.leading ? ["success", "leads"] : ["active", "ready"];
}

function Pods() {
  const found = useResource(path(["cluster", "pods"], { limit: 200 }), { fits: (event) => ["leader", "worker", "leaderless"].includes(event.kind), everyMs: 3000 });
  return html`<section aria-labelledby="pods-title"><h2 id="pods-title">${t("pods")}</h2><${Loaded} from=${found}>${({ items }) => html`<table class="rows"><thead><tr><th>${t("pod")}</th><th class="w-state">${t("state")}</th><th>${t("roles")}</th><th>${t("version")}</th><th>${t("since")}</th><th class="r">${t("heartbeat")}</th></tr></thead>
    <tbody>${items.map((one) => {
      const [glyph, word] = podState(one);
      return html`<tr key=${one.id}><td class="main" dir="auto">${one.name}</td><td><${State} kind=${glyph}>${t(word)}<//></td><td class="dim">${one.roles.join(", ")}</td><td class="num">${one.version}</td><td class="num"><${At} at=${one.started} /></td><td class="r num"><${Ago} at=${one.seen} /></td></tr>`;
    })}</tbody></table>`}<//></section>`;
}

function Terms() {
  const list = useList((more) => path(["cluster", "terms"], { limit: 20, ...more }), { fits: (event) => event.kind === "leader", everyMs: 2000 });
  return html`<section aria-labelledby="terms-title"><h2 id="terms-title">${t("terms")}</h2><${Loaded} from=${list}>${(items) => html`<table class="rows"><thead><tr><th class="r w-num">${t("term")}</th><th>${t("pod")}</th><th>${t("began")}</th><th class="r">${t("lasted")}</th><th>${t("how")}</th></tr></thead>
    <tbody>${items.map((one) => html`<tr key=${one.epoch}><td class="r num">${one.epoch}</td><td class="main" dir="auto">${one.pod}</td><td class="num"><${At} at=${one.began} /></td><td class="r num">${duration(Math.max(0, (one.ended ? Date.parse(one.ended) : now.value) - Date.parse(one.began)))}</td>
      <td dir="auto">${one.ended ? html`<span class=${one.how === "expired" ? "s-late" : "dim"}>${[one.how, one.who, one.why].filter(Boolean).join(", ")}</span>` : html`<${State} kind="running">${t("lasts")}<//>`}</td></tr>`)}</tbody></table>
    ${list.more && html`<p class="pad"><button type="button" onClick=${list.more}>${t("moreRows")}</button></p>`}`}<//></section>`;
}

function Plugins() {
  const found = useResource(path(["plugins"]));
  return html`<section aria-labelledby="plugins-title"><h2 id="plugins-title">${t("plugins")}</h2><${Loaded} from=${found}>${({ items }) => html`<table class="rows small"><thead><tr><th>${t("kind")}</th><th>${t("name")}</th><th>${t("distribution")}</th><th>${t("version")}</th></tr></thead>
    <tbody>${items.map((one) => html`<tr key=${one.kind + one.name}><td class="dim">${one.kind}</td><td class="main">${one.name}</td><td>${one.distribution}</td><td class="num">${one.version}</td></tr>`)}</tbody></table>`}<//></section>`;
}

export function Cluster() {
  return html`<section class="page"><div class="head"><${Title}>${t("cluster")}<//></div><${Pods} /><${Terms} /><${Plugins} />
    <p class="pad"><a href=${address("openapi.json")} target="_blank" rel="noopener">${t("apiReference")}</a></p></section>`;
}
