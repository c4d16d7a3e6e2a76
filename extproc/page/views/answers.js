// Two tables of counts: why requests went to each candidate, and what came back.

import { count } from "../format.js";
import { html } from "../html.js";
import { called, CANDIDATE, everyone } from "../shares.js";

// The outcomes of extproc.core.table, and the fallback of Envoy, in the order in which they matter.
const REASONS = {
  weighted: "drawn by the weights",
  sticky: "stayed, by its route token",
  stale_token: "drawn; its token was stale",
  unit: "the unit's own, by its hash",
  override: "the unit is on a list",
  unavailable: "stood in for one that was not ready",
  holdout: "held out, to be compared with",
  other_slot: "the unit's slot is not this experiment's",
  no_unit: "the request carries no unit",
  fallback: "Envoy chose: extproc was away",
};

// https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage (RESPONSE_FLAGS)
const FLAGS = {
  DC: "the client hung up",
  DPE: "HTTP could not be read",
  LR: "reset by Envoy",
  NC: "no such cluster",
  NR: "no route",
  UC: "the model hung up",
  UF: "the model could not be reached",
  UH: "no healthy model server",
  UMSDR: "too long, with retries",
  UO: "too many at once",
  UPE: "the model's HTTP could not be read",
  UR: "reset by the model",
  URX: "retries used up",
  UT: "the model took too long",
};

export function Reasons({ one }) {
  return html`<${Counts} one=${one} of=${(who) => who.outcomes?.byOutcome} order=${Object.keys(REASONS)}
    tell=${(word) => [REASONS[word] ?? word.replaceAll("_", " ")]} copies=${false} label="Requests by reason" />`;
}

export function Answers({ one }) {
  const both = (who) => who.outcomes && { ...by(who.outcomes.byCode), ...who.outcomes.flags };
  return html`<${Counts} one=${one} of=${both} order=${["2xx", "3xx", "4xx", "5xx", "none"]} copies
    tell=${(word) => (word in FLAGS ? [FLAGS[word], word] : [word === "none" ? "no answer" : word])}
    label="Requests by answer" />`;
}

function by(codes = {}) {
  const { 0: none, ...others } = codes;
  return none ? { ...others, none } : others;
}

function Counts({ one, of, order, tell, copies, label }) {
  const columns = everyone(one).filter(({ role }) => copies || role !== "mirror");
  const words = [...new Set(columns.flatMap(({ who }) => Object.keys(of(who) ?? {})))];
  const place = (word) => (order.includes(word) ? order.indexOf(word) : order.length);
  words.sort((a, b) => place(a) - place(b) || a.localeCompare(b));
  if (!words.length) return html`<p class="quiet">Nothing counted yet.</p>`;
  return html`<div class="scroll" tabindex="0" role="group" aria-label=${label}><table class="counts">
    <thead><tr><td></td>
      ${columns.map(({ who, role }) => html`<th key=${`${who.name} ${role}`} scope="col" class="number">${who.name}
        ${role !== CANDIDATE && html` <span class="tag">${called(role)}</span>`}</th>`)}
    </tr></thead>
    <tbody>${words.map((word) => {
      const [said, flag] = tell(word);
      return html`<tr key=${word}><th scope="row">${said}${flag && html` <code>${flag}</code>`}</th>
        ${columns.map(({ who, role }) => html`<td key=${`${who.name} ${role}`} class="number">${count(of(who)?.[word] ?? 0)}</td>`)}</tr>`;
    })}</tbody>
  </table></div>`;
}
