// A value of users as text: exact, never markup, and bounded with all of it to download.
import { html } from "../html.js";
import { stringify, tokens } from "../json.js";
import { t } from "../text.js";
import { Copy } from "./basics.js";

const MOST = 20_000;

export function save(text, name) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function* bounded(value) {
  let left = MOST;
  for (const [kind, text] of tokens(value)) {
    yield [kind, text.slice(0, left)];
    left -= text.length;
    if (left <= 0) return;
  }
}

export function Value({ title, value, name }) {
  const all = stringify(value);
  const more = all.length > MOST;
  return html`<section class="value"><h2>${title} <span class="dim">${all.length.toLocaleString()} B</span>
      <span class="end"><${Copy} text=${all} plain /> <button type="button" class="link" onClick=${() => save(all, `${name}.json`)}>${t("download")}</button></span></h2>
    <pre class="json" tabindex="0" dir="ltr">${[...bounded(value)].map(([kind, text], index) => (kind === "mark" ? text : html`<span key=${index} class="j-${kind}">${text}</span>`))}</pre>
    ${more && html`<p class="dim">${t("preview", { n: Math.ceil(all.length / 1000) })}</p>`}
  </section>`;
}
