// The split as two bars, one above the other: what is configured, and what was observed. The table beside says it in
// numbers, so the bars are drawn for the eye alone.

import { html } from "../html.js";
import { colour, configured, observed } from "../shares.js";

export function Split({ one }) {
  if (!one.candidates.length) return null;
  return html`<div class="split" aria-hidden="true">
    <span class="split-label">configured</span>
    <${Bar} one=${one} part=${configured} />
    <span class="split-label">observed</span>
    <${Bar} one=${one} part=${observed} empty="no requests yet" thick />
  </div>`;
}

function Bar({ one, part, empty = "", thick = false }) {
  const parts = one.candidates.map((candidate) => part(one, candidate) ?? 0);
  const nothing = parts.every((value) => value === 0);
  return html`<div class=${`bar ${thick ? "thick" : ""} ${nothing ? "nothing" : ""}`}>
    ${nothing
      ? html`<span>${empty}</span>`
      : parts.map((value, i) => html`<i key=${one.candidates[i].name} class=${colour(i)} style=${{ flexGrow: value }} />`)}
  </div>`;
}
