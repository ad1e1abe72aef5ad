// Texts of the console in the language of the reader.
import { effect, signal } from "./html.js";

const LANGUAGES = ["en", "zh"];
const TEXTS = {};
const KEY = "dsched.lang";
const asked = localStorage.getItem(KEY) ?? navigator.language?.slice(0, 2);

async function load(language) {
  TEXTS[language] ??= (await import(`./texts/${language}.js`)).default;
  return language;
}

export const lang = signal(await load(LANGUAGES.includes(asked) ? asked : "en"));

/** Read on in another language. */
export async function speak(language) {
  lang.value = await load(language);
}

effect(() => {
  localStorage.setItem(KEY, lang.value);
  document.documentElement.lang = lang.value;
});

/** A text by its key; values are filled in as they are, and never are markup. */
export function t(key, values = {}) {
  const found = TEXTS[lang.value][key];
  if (found === undefined) throw new Error(`there is no text ${key}`);
  return typeof found === "function" ? found(values) : found;
}
