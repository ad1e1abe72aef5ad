// Who uses the console: a session of the API, opened by a token or by a link that logs in once.
import { get, post, remove, whenSignedOut } from "./api.js";
import { signal } from "./html.js";
import { start, stop } from "./live.js";

/** undefined: not known yet; null: nobody; else {name, scope}. */
export const session = signal(undefined);
/** Why logging in failed: an error of the API, or null. */
export const refused = signal(null);

whenSignedOut(() => {
  stop();
  session.value = null;
});

function entered(found) {
  refused.value = null;
  session.value = found;
  start();
}

/** The session there is, or one made of the link that led here. */
export async function begin() {
  const once = /^#once=([\w-]+)$/.exec(location.hash);
  if (once) {
    history.replaceState(null, "", location.pathname + location.search);
    try {
      return entered(await post("session", { once: once[1] }));
    } catch (error) {
      refused.value = { ...error, once: true };
    }
  }
  try {
    entered(await get("session"));
  } catch (error) {
    if (error.status !== 401) refused.value ??= error;
    session.value = null;
  }
}

export async function logIn(token) {
  try {
    entered(await post("session", { token }));
  } catch (error) {
    refused.value = error;
  }
}

export async function logOut() {
  try {
    await remove("session");
  } finally {
    stop();
    session.value = null;
  }
}
