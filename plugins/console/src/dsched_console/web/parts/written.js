// A config as people write it elsewhere: in a task file, in Python, as a command.
import { Exact, stringify } from "../json.js";
import { shell } from "./basics.js";

const PLAIN = /^[A-Za-z][\w./-]*$/;
const WORDS = new Set(["true", "false", "null", "yes", "no", "on", "off", "y", "n"]);

/** A value on one line; JSON is YAML too. */
const flat = (value) => stringify(value).replace(/\n\s*/g, " ");
const yamlValue = (value) =>
  typeof value === "string" && PLAIN.test(value) && !WORDS.has(value.toLowerCase()) ? value : flat(value);

/** A whole task file with this one config. */
export function yaml(id, entry) {
  const lines = Object.entries(entry)
    .filter(([key]) => key !== "id")
    .map(([key, value]) => `    ${key}: ${yamlValue(value)}`);
  return ["tasks:", `  - id: ${yamlValue(id)}`, ...lines, ""].join("\n");
}

function literal(value) {
  if (value instanceof Exact) return value.text;
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (value !== null && typeof value === "object")
    return `{${Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}: ${literal(one)}`).join(", ")}}`;
  return { true: "True", false: "False", null: "None" }[String(value)] ?? JSON.stringify(value);
}

/** The same put by the HTTP client. */
export function python(id, entry) {
  const lines = Object.entries({ id, ...entry }).map(([key, value]) => `    ${JSON.stringify(key)}: ${literal(value)},`);
  return ["import dsched_client", "", "with dsched_client.Client() as client:", "    client.put_config({", ...lines.map((one) => `    ${one}`), "    })", ""].join("\n");
}

/** The same put by the command, with the file it reads. */
export function command(id, entry) {
  return [`cat > ${shell(`${id}.yaml`)} <<'EOF'`, `${yaml(id, entry)}EOF`, `dsched config put ${shell(id)} -f ${shell(`${id}.yaml`)}`, ""].join("\n");
}
