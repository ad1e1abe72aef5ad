// Line icons of navigation and buttons.
import { html } from "../html.js";

const PATHS = {
  now: "M1.5 8h3l2-5 3 10 2-5h3",
  configs: "M2 4h1M2 8h1M2 12h1M6 4h8M6 8h8M6 12h8",
  tasks: "M2 4h6M5 8h6M8 12h6",
  calendar: "M2.5 3.5h11v10h-11zM2.5 6.5h11M5.5 2v3M10.5 2v3",
  problems: "M8 2l6.5 11.5h-13zM8 6.5v3.2M8 11.6v.2",
  workers: "M4.5 4.5h7v7h-7zM6.5 2v2.5M9.5 2v2.5M6.5 11.5V14M9.5 11.5V14M2 6.5h2.5M2 9.5h2.5M11.5 6.5H14M11.5 9.5H14",
  limits: "M2 11.5a6 6 0 1 1 12 0M8 11.5l3-4M2 13.8h12",
  cluster: "M8 5.5v2.2M8 7.7l-3.4 3M8 7.7l3.4 3M8 5.5a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4zM3.6 13.6a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4zM12.4 13.6a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4z",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.6 10.6L14 14",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8L13 13M13 3l-1.2 1.2M4.2 11.8L3 13",
  lock: "M4 7.5h8v6H4zM5.5 7.5V5.2a2.5 2.5 0 0 1 5 0v2.3",
  close: "M4 4l8 8M12 4l-8 8",
  more: "M3.5 8h.1M8 8h.1M12.5 8h.1",
};

export const Icon = ({ name }) =>
  html`<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d=${PATHS[name]} fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" /></svg>`;

export const Logo = () =>
  html`<svg class="logo" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true"><rect width="20" height="20" rx="5" fill="currentColor" /><path d="M10 5a5 5 0 1 1-4.6 3" class="logo-cut" /><path d="M10 7.5V10l1.6 1.4" class="logo-cut" /></svg>`;
