// What a change changes: each field before and after.

import { html } from "../html.js";
import { differences } from "../differences.js";

export function Comparison({ before, after, label = "What changes" }) {
  const changes = differences(before, after);
  if (!changes.length) return html`<p class="quiet">Nothing changes.</p>`;
  return html`<table class="comparison" aria-label=${label}>
    <thead><tr><th scope="col">Field</th><th scope="col">Before</th><th scope="col">After</th></tr></thead>
    <tbody>${changes.map(({ path, before: was, after: will }) => html`<tr key=${path}>
      <th scope="row"><code>${path}</code></th><td class="was">${was ?? "–"}</td><td class="will">${will ?? "–"}</td>
    </tr>`)}</tbody>
  </table>`;
}
