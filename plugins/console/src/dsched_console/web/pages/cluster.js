// The cluster: pods, terms of leadership, what is installed; for an admin who may and who did what.
import { address, path } from "../api.js";
import { html } from "../html.js";
import { href, route } from "../router.js";
import { duration, now } from "../time.js";
import { t } from "../text.js";
import { may } from "../parts/acts.js";
import { Ago, At, Copy, Loaded, shell, Title } from "../parts/basics.js";
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

function Tokens() {
  const list = useList((more) => path(["tokens"], { limit: 100, ...more }));
  return html`<section aria-labelledby="tokens-title"><h2 id="tokens-title">${t("tokens")}</h2><${Loaded} from=${list}>${(items) => html`<table class="rows"><thead><tr><th>${t("name")}</th><th>${t("id")}</th><th>${t("scope")}</th><th>${t("created")}</th><th>${t("createdBy")}</th><th>${t("expires")}</th><th class="r w-num"><span class="off">${t("revoke")}</span></th></tr></thead>
    <tbody>${items.map((one) => html`<tr key=${one.id}><td class="main" dir="auto">${one.name}</td><td><code>${one.id}</code></td><td>${one.scope}</td><td class="num"><${At} at=${one.created} /></td><td class="dim" dir="auto">${one.created_by}</td><td class="num">${one.expires ? html`<${At} at=${one.expires} />` : html`<span class="dim">${t("never")}</span>`}</td>
      <td class="r"><${Copy} text=${`dsched token revoke ${shell(one.id)}`} label=${t("revoke")} /></td></tr>`)}</tbody></table>
    <p class="dim pad">${t("tokensMean")}</p>`}<//></section>`;
}

function Audit() {
  const list = useList((more) => path(["audit"], { limit: 50, ...more }), { fits: (event) => event.kind === "config", everyMs: 5000 });
  return html`<section aria-labelledby="audit-title"><h2 id="audit-title">${t("audit")}</h2><${Loaded} from=${list}>${(items) =>
    items.length === 0
      ? html`<p class="dim pad">${t("noAudit")}</p>`
      : html`<table class="rows fixed"><thead><tr><th class="w-at">${t("when")}</th><th class="w-finish">${t("who")}</th><th class="w-finish">${t("what")}</th><th>${t("object")}</th><th class="w-ago">${t("outcome")}</th><th class="wide">${t("reason")}</th></tr></thead>
    <tbody>${items.map((one, index) => html`<tr key=${`${one.at} ${index}`}><td class="num"><${At} at=${one.at} /></td><td class="clip" dir="auto" title=${one.principal}>${one.principal}</td><td>${one.action}${one.count > 1 ? ` × ${one.count}` : ""}</td><td class="main clip" dir="auto" title=${one.object}>${one.object}</td><td><${State} kind=${one.outcome === "ok" ? "active" : "late"}>${one.outcome}<//></td><td class="wide dim clip" dir="auto" title=${one.reason}>${one.reason}</td></tr>`)}</tbody></table>
    ${list.more && html`<p class="pad"><button type="button" onClick=${list.more}>${t("moreRows")}</button></p>`}`}<//></section>`;
}

const Members = () => html`<${Pods} /><${Terms} />`;
const TABS = { pods: Members, plugins: Plugins, tokens: Tokens, audit: Audit };
const ADMIN = new Set(["tokens", "audit"]);

export function Cluster() {
  const { tab } = route.value.query;
  const open = Object.keys(TABS).filter((one) => may("admin") || !ADMIN.has(one));
  const chosen = open.includes(tab) ? tab : "pods";
  return html`<section class="page flush"><div class="head"><${Title}>${t("cluster")}<//><div class="acts"><a class="button" href=${address("openapi.json")} target="_blank" rel="noopener">${t("apiReference")}</a></div></div>
    <nav class="tabs" aria-label=${t("cluster")}>${open.map((one) => html`<a key=${one} href=${href(["cluster"], { tab: one })} aria-current=${one === chosen ? "page" : undefined}>${t(one)}</a>`)}</nav>
    <div class="tab"><${TABS[chosen]} /></div></section>`;
}
