// Files that are brought when they are first looked at.
import { html, useEffect, useState } from "../html.js";
import { t } from "../text.js";
import { Trouble } from "./basics.js";

const brought = new Map();

/** What `load` brings, with what is given; a file that is gone is one of another version: read everything anew. */
export function Bring({ load, ...given }) {
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
  if (page) return html`<${page} ...${given} />`;
  if (found.of === load && found.error)
    return html`<section class="page"><${Trouble} error=${found.error} reload=${() => location.reload()} /></section>`;
  return html`<section class="page"><p class="dim pad" aria-busy="true">${t("loading")}</p></section>`;
}
