// The state of an experiment as a badge: a word, a shape and a colour, so that no one of them has to be seen.

import { html } from "../html.js";

const SHAPES = {
  ACTIVE: "M6 12.500l4 4 8-9",
  DEGRADED: "M12 6.500v7m0 3.800v.2",
  PENDING: "M12 7v5l3.500 2",
  STOPPED: "M8.500 8.500h7v7h-7z",
  REJECTED: "M8 8l8 8m0-8l-8 8",
};

export function State({ state }) {
  const word = state.charAt(0) + state.slice(1).toLowerCase();
  return html`<span class=${`state state-${state.toLowerCase()}`}>
    <svg viewBox="0 0 24 24" aria-hidden="true"><path d=${SHAPES[state] ?? SHAPES.PENDING} /></svg>${word}
  </span>`;
}

export function Ready({ ready }) {
  return ready
    ? html`<span class="ready" title="ready"><span class="unseen">ready</span></span>`
    : html`<span class="not-ready">not ready</span>`;
}
