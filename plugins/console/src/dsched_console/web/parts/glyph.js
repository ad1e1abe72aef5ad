// State as colour, shape and word.
import { html } from "../html.js";
import { t } from "../text.js";

const SHAPES = {
  success: html`<circle cx="6" cy="6" r="6" fill="currentColor" /><path d="M3.2 6.2l2 2 3.6-4" class="cut" />`,
  failed: html`<rect width="12" height="12" rx="2" fill="currentColor" /><path d="M3.7 3.7l4.6 4.6M8.3 3.7L3.7 8.3" class="cut" />`,
  running: html`<circle cx="6" cy="6" r="5" fill="none" stroke="currentColor" stroke-width="1.6" /><path d="M6 1a5 5 0 0 0 0 10z" fill="currentColor" />`,
  late: html`<path d="M6 .8l5.6 10.2H.4z" fill="currentColor" />`,
  missed: html`<circle cx="6" cy="6" r="4.9" fill="none" stroke="currentColor" stroke-width="1.8" />`,
  skipped: html`<path d="M2 6h8" stroke="currentColor" stroke-width="2" />`,
  paused: html`<path d="M3.6 2v8M8.4 2v8" stroke="currentColor" stroke-width="2.2" />`,
  waiting: html`<circle cx="6" cy="6" r="5" fill="none" stroke="currentColor" stroke-width="1.6" stroke-dasharray="1.6 1.54" />`,
  due: html`<rect x="2.5" y="1" width="7" height="10" fill="none" stroke="currentColor" />`,
  active: html`<circle cx="6" cy="6" r="2.5" fill="currentColor" opacity=".45" />`,
};

/** The state of a task as one of the shapes. */
export const STATES = {
  pending: "waiting",
  retrying: "late",
  running: "running",
  success: "success",
  failed: "failed",
  cancelled: "skipped",
};

export function Glyph({ kind, label }) {
  return html`<svg class="glyph s-${kind}" viewBox="0 0 12 12" width="12" height="12" role=${label ? "img" : undefined} aria-label=${label} aria-hidden=${label ? undefined : "true"}>${SHAPES[kind]}</svg>`;
}

/** A glyph followed by its word. */
export function State({ kind, children, soft }) {
  return html`<span class="state s-${kind} ${soft ? "soft" : ""}"><${Glyph} kind=${kind} /><span class="word">${children}</span></span>`;
}

const WORDS = {
  pending: "waiting",
  retrying: "retry",
  running: "running",
  success: "success",
  failed: "failed",
  cancelled: "cancelled",
};
export const statusWord = (status) => (WORDS[status] ? t(WORDS[status]) : status);
export const TaskState = ({ status, soft, children }) =>
  html`<${State} kind=${STATES[status] ?? "active"} soft=${soft}>${children ?? statusWord(status)}<//>`;
