// The console: who is there, and which page the address names.
import { html, render } from "./html.js";
import { route } from "./router.js";
import { begin, session } from "./session.js";
import "./theme.js";
import { t } from "./text.js";
import { Shell } from "./parts/shell.js";
import { Title } from "./parts/basics.js";
import { Bring } from "./parts/bring.js";
import { Login } from "./pages/login.js";
import { Now } from "./pages/now.js";

// A page is brought when it is first looked at.
const LIST = {
  configs: async () => (await import("./pages/configs.js")).Configs,
  tasks: async () => (await import("./pages/tasks.js")).Tasks,
  calendar: async () => (await import("./pages/calendar.js")).Calendar,
  problems: async () => (await import("./pages/problems.js")).Problems,
  workers: async () => (await import("./pages/workers.js")).Workers,
  limits: async () => (await import("./pages/limits.js")).LimitsPage,
  cluster: async () => (await import("./pages/cluster.js")).Cluster,
  new: async () => (await import("./pages/editor.js")).Editor,
};
const ONE = {
  configs: async () => (await import("./pages/config.js")).Config,
  tasks: async () => (await import("./pages/task.js")).Task,
  limits: async () => (await import("./pages/limit.js")).LimitPage,
};
const EDIT = { configs: LIST.new };

function Missing() {
  return html`<section class="page"><${Title}>${t("notFoundPage")}<//></section>`;
}

function Page() {
  const [kind, id, act, ...rest] = route.value.parts;
  if (kind === undefined) return html`<${Now} />`;
  const load = id === undefined ? LIST[kind] : act === undefined ? ONE[kind] : act === "edit" && EDIT[kind];
  if (!load || rest.length) return html`<${Missing} />`;
  return id === undefined ? html`<${Bring} load=${load} />` : html`<${Bring} key=${id} load=${load} id=${id} />`;
}

function App() {
  if (session.value === undefined) return null;
  return session.value === null ? html`<${Login} />` : html`<${Shell}><${Page} /><//>`;
}

render(html`<${App} />`, document.getElementById("app"));
begin();
