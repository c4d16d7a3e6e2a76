// What a person has to look at: a split that does not fit its weights, and problems of resources.

import { count } from "../format.js";
import { html } from "../html.js";

const ICON = html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
  <path d="M12 4l9 16h-18zM12 10v4.500m0 2.600v.1" />
</svg>`;

/** The sample-ratio mismatch: short in the list, with what to do in the experiment. */
export function Mismatch({ one, long }) {
  if (!one.split?.mismatch) return null;
  const p = one.split.pValue < 1e-6 ? "below 0.000001" : Number(one.split.pValue.toPrecision(2));
  if (!long) return html`<p class="warning">${ICON}<span><strong>Sample ratio mismatch</strong>: the observed split does
    not fit the weights (p ${p}).</span></p>`;
  return html`<div class="warning" role="group" aria-label="Sample ratio mismatch">${ICON}<div>
    <strong>Sample ratio mismatch.</strong> Chance alone would hardly split ${count(one.split.requests)} requests like
    this (p ${p}). Do not compare the candidates until you know why: look for answers that never came, clients that pick
    who they call, or a fault in the routing.
  </div></div>`;
}

/** Problems as `path: message`. */
export function Problems({ problems, title }) {
  if (!problems?.length) return null;
  return html`<div class="warning problem" role="group" aria-label=${title}>${ICON}<div>
    <strong>${title}</strong>
    <ul>${problems.map(
      ({ path, message }) => html`<li key=${path + message}>${path && html`<code>${path}</code> `}${message}</li>`,
    )}</ul>
  </div></div>`;
}

/** Everything that the sources offer and that was refused. */
export function Refused({ problems }) {
  if (!problems.length) return null;
  return html`<section class="refused" aria-labelledby="refused">
    <h2 id="refused">Problems of resources</h2>
    ${problems.map((report) => {
      const what = [report.kind, report.name].filter(Boolean).join(" ") || "The file";
      const title = `${what} in ${report.source}${report.kept ? ": its last good version stays in force" : " was refused"}`;
      return html`<${Problems} key=${title} problems=${report.problems} title=${title} />`;
    })}
  </section>`;
}
