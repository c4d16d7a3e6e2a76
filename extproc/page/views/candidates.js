// The candidates and the mirrors of an experiment, side by side, as a table: short in the list, in full when opened.
// The roles are spelt out because a narrow screen shows the rows as blocks, and CSS would take a table's meaning away.

import { alarming, count, interval, NONE, percent, rate, seconds } from "../format.js";
import { html } from "../html.js";
import { colour, configured, MIRROR, mirrors, observed } from "../shares.js";
import { Ready } from "./states.js";

// Each column: its head, what stands in a candidate's cell, and whether the list has it too.
const COLUMNS = [
  { head: "Configured", cell: ({ one, who, mirror }) => (mirror ? copies(who) : percent(configured(one, who))), short: true },
  { head: "Observed", cell: ({ one, who, mirror }) => (mirror ? NONE : percent(observed(one, who))), short: true },
  { head: "Requests", cell: ({ who }) => count(who.requests) },
  { head: "Requests/s", cell: ({ perSecond }) => rate(perSecond), short: true },
  { head: "Errors", cell: ({ who, full }) => errors(who, full), short: true },
  { head: "p50", cell: ({ who, full }) => latency(who, "p50", full), short: true },
  { head: "p90", cell: ({ who, full }) => latency(who, "p90", full) },
  { head: "p99", cell: ({ who, full }) => latency(who, "p99", full), short: true },
];

export function Candidates({ one, rates, full = false, traces }) {
  const columns = COLUMNS.filter(({ short }) => full || short);
  const rows = one.candidates.map((who, i) => ({ who, i, perSecond: rates.of(one, who) }));
  for (const who of mirrors(one)) rows.push({ who, mirror: true, perSecond: rates.of(one, who, "mirror") });
  return html`<table class=${`candidates ${full ? "full" : ""}`} role="table" aria-label=${`Candidates of ${one.name}`}>
    <thead role="rowgroup"><tr role="row">
      <th scope="col" role="columnheader">Candidate</th>
      ${columns.map(({ head }) => html`<th key=${head} scope="col" role="columnheader" class="number">${head}</th>`)}
      ${traces && html`<th scope="col" role="columnheader">Traces</th>`}
    </tr></thead>
    <tbody role="rowgroup">${rows.map(
      (row) => html`<tr key=${`${row.who.name} ${row.mirror}`} role="row" class=${row.mirror ? "mirror" : ""}>
        <${Who} one=${one} ...${row} full=${full} />
        ${columns.map(({ head, cell }) => html`<td key=${head} role="cell" class="number" data-head=${head}>
          ${cell({ one, full, ...row })}
        </td>`)}
        ${traces && html`<td role="cell" data-head="Traces">${traces(row.who, row.mirror)}</td>`}
      </tr>`,
    )}</tbody>
  </table>`;
}

function Who({ one, who, i, mirror, full }) {
  const isDefault = !mirror && one.spec?.default === who.name;
  return html`<th scope="row" role="rowheader">
    <span class=${`swatch ${mirror ? MIRROR : colour(i)}`} aria-hidden="true"></span>
    <span class="name">${who.name}</span> <${Ready} ready=${who.ready} />
    ${isDefault && html` <span class="tag">default</span>`}
    ${mirror && html` <span class="tag">mirror</span>`}
    ${full && who.route && html` <code class="route" title="x-seldon-route">${who.route}</code>`}
  </th>`;
}

function copies(mirror) {
  return `${Number(mirror.percent.toFixed(4))}\u00a0%`;
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
