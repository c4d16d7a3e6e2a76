// What happened to an experiment lately, newest first.

import { ago, date } from "../format.js";
import { html } from "../html.js";

const TONES = {
  active: "good", candidate_back: "good", mirror_back: "good",
  degraded: "bad", candidate_down: "bad", mirror_down: "bad", rejected: "bad",
};

export function Events({ events }) {
  if (!events?.length) return html`<p class="quiet">Nothing since extproc was started.</p>`;
  return html`<ol class="events">${events.toReversed().map(
    ({ at, event, detail }, i) => html`<li key=${`${at} ${event} ${events.length - i}`} class=${TONES[event] ?? ""}>
      <time datetime=${at} title=${date(at)}>${ago(at)}</time>
      <span><b>${event.replaceAll("_", " ")}</b> ${detail}</span>
    </li>`,
  )}</ol>`;
}
