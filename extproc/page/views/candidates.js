// The candidates of an experiment, what is left to its default, and its mirrors, side by side, as a table: short in the
// list, in full when opened.
// The roles are spelt out because a narrow screen shows the rows as blocks, and CSS would take a table's meaning away.

import { alarming, count, interval, NONE, percent, rate, seconds } from "../format.js";
import { html } from "../html.js";
import { called, CANDIDATE, configured, everyone, observed } from "../shares.js";
import { Ready } from "./states.js";

// Each column: its head, what stands in a candidate's cell, and whether the list has it too.
const COLUMNS = [
  { head: "Configured", cell: ({ one, who, other }) => (other ? part(who) : percent(configured(one, who))), short: true },
  { head: "Observed", cell: ({ one, who, other }) => (other ? NONE : percent(observed(one, who))), short: true },
  { head: "Requests", cell: ({ who }) => count(who.requests) },
  { head: "Requests/s", cell: ({ perSecond }) => rate(perSecond), short: true },
  { head: "Errors", cell: ({ who, full }) => errors(who, full), short: true },
  { head: "p50", cell: ({ who, full }) => latency(who, "p50", full), short: true },
  { head: "p90", cell: ({ who, full }) => latency(who, "p90", full) },
  { head: "p99", cell: ({ who, full }) => latency(who, "p99", full), short: true },
];

export function Candidates({ one, rates, full = false, traces }) {
  const columns = COLUMNS.filter(({ short }) => full || short);
  const rows = everyone(one).map(({ who, role, colour }) => (
    { who, role, colour, other: role !== CANDIDATE, perSecond: rates.of(one, who, role) }));
  return html`<table class=${`candidates ${full ? "full" : ""}`} role="table" aria-label=${`Candidates of ${one.name}`}>
    <thead role="rowgroup"><tr role="row">
      <th scope="col" role="columnheader">Candidate</th>
      ${columns.map(({ head }) => html`<th key=${head} scope="col" role="columnheader" class="number">${head}</th>`)}
      ${traces && html`<th scope="col" role="columnheader">Traces</th>`}
    </tr></thead>
    <tbody role="rowgroup">${rows.map(
      (row) => html`<tr key=${`${row.who.name} ${row.role}`} role="row" class=${row.other ? "other" : ""}>
        <${Who} one=${one} ...${row} full=${full} />
        ${columns.map(({ head, cell }) => html`<td key=${head} role="cell" class="number" data-head=${head}>
          ${cell({ one, full, ...row })}
        </td>`)}
        ${traces && html`<td role="cell" data-head="Traces">${traces(row.who, row.role)}</td>`}
      </tr>`,
    )}</tbody>
  </table>`;
}

function Who({ one, who, role, colour, other, full }) {
  const isDefault = !other && one.spec?.default === who.name;
  return html`<th scope="row" role="rowheader">
    <span class=${`swatch ${colour}`} aria-hidden="true"></span>
    <span class="name">${who.name}</span>${"ready" in who && html` <${Ready} ready=${who.ready} />`}
    ${isDefault && html` <span class="tag">default</span>`}
    ${other && html` <span class="tag">${called(role)}</span>`}
    ${full && who.route && html` <code class="route" title="x-seldon-route">${who.route}</code>`}
  </th>`;
}

function part({ percent: configured }) {
  return Number.isFinite(configured) ? `${Number(configured.toFixed(4))}\u00a0%` : NONE;
}

function errors(who, full) {
  const found = who.outcomes?.errors;
  if (!found) return NONE;
  const shown = html`<span class=${alarming(found.rate) ? "bad" : ""}>${percent(found.rate)}</span>`;
  return full ? html`${shown}<${Interval} of=${found} as=${percent} />` : shown;
}

function latency(who, which, full) {
  const found = who.outcomes?.latency?.[which];
  if (!found) return NONE;
  return full ? html`${seconds(found.value)}<${Interval} of=${found} as=${seconds} />` : seconds(found.value);
}

function Interval({ of: { low, high }, as }) {
  if (!Number.isFinite(low)) return null;
  // With few requests nothing bounds a high percentile from above.
  const shown = Number.isFinite(high) ? interval(low, high, as) : `≥\u00a0${as(low)}`;
  return html`<small title="95 % confidence interval">${shown}</small>`;
}
