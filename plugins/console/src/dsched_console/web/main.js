// The console: who is there, and which page the address names.
import { html, render, useEffect, useState } from "./html.js";
import { route } from "./router.js";
import { begin, session } from "./session.js";
import "./theme.js";
import { t } from "./text.js";
import { Shell } from "./parts/shell.js";
import { Title, Trouble } from "./parts/basics.js";
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
const brought = new Map();

function Missing() {
  return html`<section class="page"><${Title}>${t("notFoundPage")}<//></section>`;
}

/** The page that `load` brings; a file that is gone is one of another version: read everything anew. */
function Bring({ load, id }) {
  const [found, setFound] = useState({ of: null, error: null });
  useEffect(() => {
    let gone = false;
    if (!brought.has(load))
      load().then(
        (page) => {
          brought.set(load, page);
          if (!gone) setFound({ of: load, error: null });
        },
        () => !gone && setFound({ of: load, error: { code: "unreachable" } }),
      );
    return () => {
      gone = true;
    };
  }, [load]);
  const page = brought.get(load);
  if (page) return id === undefined ? html`<${page} />` : html`<${page} key=${id} id=${id} />`;
  if (found.of === load && found.error)
    return html`<section class="page"><${Trouble} error=${found.error} reload=${() => location.reload()} /></section>`;
  return html`<section class="page"><p class="dim pad" aria-busy="true">${t("loading")}</p></section>`;
}

function Page() {
  const [kind, id, act, ...rest] = route.value.parts;
  if (kind === undefined) return html`<${Now} />`;
  const load = id === undefined ? LIST[kind] : act === undefined ? ONE[kind] : act === "edit" && EDIT[kind];
  if (!load || rest.length) return html`<${Missing} />`;
  return html`<${Bring} load=${load} id=${id} />`;
}

function App() {
  if (session.value === undefined) return null;
  return session.value === null ? html`<${Login} />` : html`<${Shell}><${Page} /><//>`;
}

render(html`<${App} />`, document.getElementById("app"));
begin();
