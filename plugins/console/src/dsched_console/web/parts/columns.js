// Which columns of a table are shown: the reader's choice, kept by the browser.
import { html, signal } from "../html.js";
import { t } from "../text.js";

/** The columns of the table `name` that are left out, as a signal. */
export function hiddenOf(name) {
  const key = `dsched.columns.${name}`;
  const kept = localStorage.getItem(key);
  const hidden = signal(kept ? kept.split(",") : []);
  return {
    has: (one) => !hidden.value.includes(one),
    turn: (one) => {
      hidden.value = hidden.value.includes(one) ? hidden.value.filter((other) => other !== one) : [...hidden.value, one];
      localStorage.setItem(key, hidden.value.join());
    },
  };
}

/** A chooser; `columns` are [name, key of its text]. */
export const Columns = ({ of, columns }) => html`<details class="columnchooser"><summary class="button">${t("columns")}</summary>
  <fieldset><legend class="off">${t("columns")}</legend>${columns.map(([name, key]) => html`<button key=${name} type="button" class="small" aria-pressed=${of.has(name)} onClick=${() => of.turn(name)}><span class="turned" aria-hidden="true">${of.has(name) ? "✓" : ""}</span><span class="word">${t(key)}</span></button>`)}</fieldset></details>`;
