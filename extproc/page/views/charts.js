// Traffic, latency and errors over time, one line a candidate and a dashed one for all others; as tables too.

import { percent, rate, seconds, time } from "../format.js";
import { html } from "../html.js";
import { columns, MEASURES } from "../series.js";
import { called, CANDIDATE, everyone } from "../shares.js";
import { become } from "../store.js";
import { Chart } from "./chart.js";

const RANGES = [5, 15, 60]; // minutes
const ROWS = 12; // of a table: the last minute
const SHOWN = { traffic: rate, p99: seconds, p50: seconds, errors: percent };

export function Charts({ one, timeline, minutes }) {
  if (timeline.name !== one.name || !timeline.points?.length) return null;
  const answerers = everyone(one);
  const lines = answerers.map(({ who: { name }, role, colour }) =>
    (role === CANDIDATE ? { name, colour } : { name: `${name} (${called(role)})`, colour, dashed: true }));
  return html`<section class="card" aria-labelledby="charts">
    <div class="section-head">
      <h2 id="charts">Over time</h2>
      <fieldset class="ranges"><legend class="unseen">Time shown</legend>${RANGES.map(
        (range) => html`<label key=${range}><input type="radio" name="range" value=${range} checked=${range === minutes}
          onChange=${() => become({ minutes: range })} /><span>${range} min</span></label>`,
      )}</fieldset>
    </div>
    <ul class="legend" aria-label="Lines">${lines.map((line) => html`<li key=${line.name}>
      <span class=${`swatch ${line.colour}`} aria-hidden="true"></span>${line.name}</li>`)}</ul>
    <div class="charts">${MEASURES.map((measure) => {
      const data = columns(timeline, measure, answerers, minutes);
      const show = SHOWN[measure.key];
      return html`<figure key=${measure.key}>
        <figcaption>${measure.title}</figcaption>
        <${Chart} data=${data} lines=${lines} show=${show} whole=${measure.key === "errors"}
          label=${`${measure.title}: ${summary(data, lines, show)}`} />
        <${Numbers} data=${data} lines=${lines} show=${show} title=${measure.title} />
      </figure>`;
    })}</div>
  </section>`;
}

/** What a screen reader says instead of the drawing. */
function summary([, ...values], lines, show) {
  return lines.map(({ name }, i) => {
    const known = values[i].filter((value) => value !== null);
    return known.length ? `${name} now ${show(known.at(-1))}, at most ${show(Math.max(...known))}` : `${name} nothing`;
  }).join("; ");
}

function Numbers({ data: [times, ...values], lines, show, title }) {
  const last = times.map((at, i) => [at, i]).slice(-ROWS).reverse();
  return html`<details class="numbers"><summary>As a table</summary><table aria-label=${title}>
    <thead><tr><th scope="col">Time</th>
      ${lines.map(({ name }) => html`<th key=${name} scope="col" class="number">${name}</th>`)}</tr></thead>
    <tbody>${last.map(([at, i]) => html`<tr key=${at}><th scope="row">${time(at * 1000)}</th>
      ${lines.map(({ name }, line) => html`<td key=${name} class="number">${show(values[line][i])}</td>`)}</tr>`)}</tbody>
  </table></details>`;
}
