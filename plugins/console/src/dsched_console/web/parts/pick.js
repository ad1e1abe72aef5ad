// Picking a config by the beginning of its name, from the index.
import { path } from "../api.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { t } from "../text.js";
import { useResource } from "./resource.js";

const SHOWN = 10;

export function PickConfig({ done }) {
  const dialog = useRef(null);
  const [text, setText] = useState("");
  const found = useResource(path(["configs"], { limit: 500 }));
  useEffect(() => dialog.current.showModal(), []);
  const wanted = text.trim().toLowerCase();
  const fits = (found.data?.items ?? []).filter((one) => one.id.toLowerCase().includes(wanted)).slice(0, SHOWN);
  const pick = (id) => {
    dialog.current.close();
    done(id);
  };
  return html`<dialog ref=${dialog} onClose=${() => done(null)} aria-labelledby="pick-title">
    <form onSubmit=${(event) => { event.preventDefault(); if (fits.length) pick(fits[0].id); }}>
      <h2 id="pick-title">${t("pickConfig")}</h2>
      <input aria-label=${t("pickConfig")} autofocus autocomplete="off" value=${text} onInput=${(event) => setText(event.target.value)} />
      <ul class="picks">${fits.map((one) => html`<li key=${one.id}><button type="button" class="link" dir="auto" onClick=${() => pick(one.id)}>${one.id}</button></li>`)}
        ${found.data && fits.length === 0 && html`<li class="dim">${t("nothingMatches")}</li>`}</ul>
      <div class="buttons"><button type="button" onClick=${() => dialog.current.close()}>${t("close")}</button></div>
    </form>
  </dialog>`;
}
