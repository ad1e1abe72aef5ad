// Logging in with a token; a one-time link needs no page.
import { html, useState } from "../html.js";
import { logIn, refused } from "../session.js";
import { t } from "../text.js";
import { Title } from "../parts/basics.js";
import { Logo } from "../parts/icons.js";

function why(error) {
  if (error.code === "unreachable") return t("unreachable");
  if (error.once && error.code === "unauthenticated") return t("onceUsed");
  return error.code === "unauthenticated" ? t("loginFailed") : t("refused", { detail: error.detail || error.code });
}

export function Login() {
  const [token, setToken] = useState("");
  const error = refused.value;
  const enter = (event) => {
    event.preventDefault();
    if (token.trim()) logIn(token.trim());
  };
  return html`<main class="login"><form onSubmit=${enter}>
    <div class="brand"><${Logo} /><b>dsched</b></div>
    <${Title}>${t("loginTitle")}<//>
    <label>${t("loginToken")}
      <input name="token" type="password" autocomplete="current-password" autofocus required spellcheck="false"
        value=${token} onInput=${(event) => setToken(event.target.value)} aria-describedby="login-hint" />
    </label>
    <p id="login-hint" class="dim">${t("loginHint")}</p>
    ${error && html`<p class="bad" role="alert">${why(error)}</p>`}
    <button type="submit" class="primary">${t("loginGo")}</button>
  </form></main>`;
}
