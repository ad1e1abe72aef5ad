// JSON with exact numbers: what a double cannot hold stays as it was written.

// A text of users that begins like this would have to guess it.
const MARK = `\u0000${crypto.getRandomValues(new Uint32Array(2)).join("")}:`;
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;
const MARKED = JSON.stringify(MARK).slice(1, -1);

/** A number as it was written, where JavaScript's own would say something else. */
export class Exact {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/** @param {string} text */
export function parse(text) {
  const marked = text.replace(TOKEN, (token) => {
    const plain = token[0] === '"' || token.length < 16 || String(Number(token)) === token;
    return plain ? token : `"${MARKED}${token}"`;
  });
  return JSON.parse(marked, (_, value) =>
    typeof value === "string" && value.startsWith(MARK) ? new Exact(value.slice(MARK.length)) : value,
  );
}

/** Tokens of a value as JSON text over several lines: [kind, text]. */
export function* tokens(value, indent = "") {
  const inner = `${indent}  `;
  if (value instanceof Exact) yield ["number", value.text];
  else if (Array.isArray(value)) {
    if (!value.length) return yield ["mark", "[]"];
    yield ["mark", "[\n"];
    for (const [index, item] of value.entries()) {
      yield ["mark", inner];
      yield* tokens(item, inner);
      yield ["mark", index < value.length - 1 ? ",\n" : "\n"];
    }
    yield ["mark", `${indent}]`];
  } else if (value !== null && typeof value === "object") {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    if (!entries.length) return yield ["mark", "{}"];
    yield ["mark", "{\n"];
    for (const [index, [key, item]] of entries.entries()) {
      yield ["mark", inner];
      yield ["key", JSON.stringify(key)];
      yield ["mark", ": "];
      yield* tokens(item, inner);
      yield ["mark", index < entries.length - 1 ? ",\n" : "\n"];
    }
    yield ["mark", `${indent}}`];
  } else yield [value === null ? "word" : typeof value, JSON.stringify(value)];
}

/** @param {unknown} value */
export function stringify(value) {
  return [...tokens(value)].map(([, text]) => text).join("");
}
