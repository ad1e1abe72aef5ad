// The console: who is there, and which page the address names.
import { html, render } from "./html.js";
import { route } from "./router.js";
import { begin, session } from "./session.js";
import "./theme.js";
import { t } from "./text.js";
import { Shell } from "./parts/shell.js";
import { Title } from "./parts/basics.js";
import { Cluster } from "./pages/cluster.js";
import { Config } from "./pages/config.js";
import { Configs } from "./pages/configs.js";
import { Login } from "./pages/login.js";
import { Now } from "./pages/now.js";
import { Problems } from "./pages/problems.js";
import { Task } from "./pages/task.js";
import { Tasks } from "./pages/tasks.js";
import { Workers } from "./pages/workers.js";

const ONE = { configs: Config, tasks: Task };
const MANY = { configs: Configs, tasks: Tasks, problems: Problems, workers: Workers, cluster: Cluster };

function Missing() {
  return html`<section class="page"><${Title}>${t("notFoundPage")}<//></section>`;
}

function Page() {
  const [kind, id, ...rest] = route.value.parts;
  if (kind === undefined) return html`<${Now} />`;
  if (rest.length || (id !== undefined && !ONE[kind]) || !MANY[kind]) return html`<${Missing} />`;
  return id === undefined ? html`<${MANY[kind]} />` : html`<${ONE[kind]} key=${`${kind} ${id}`} id=${id} />`;
}

function App() {
  if (session.value === undefined) return null;
  return session.value === null ? html`<${Login} />` : html`<${Shell}><${Page} /><//>`;
}

render(html`<${App} />`, document.getElementById("app"));
begin();
