// Every revision of an experiment, newest first: what changed, by whom and why; and the way back. The roles are spelt
// out as in candidates.js.

import { calledBy, differences } from "../differences.js";
import { ago, count, date, percent } from "../format.js";
import { html } from "../html.js";
import { errors } from "../shares.js";
import { become } from "../store.js";

export function History({ one, history, outcomes, write }) {
  if (history.name !== one.name || (!history.revisions && !history.failed)) return html`<p class="quiet">Loading…</p>`;
  if (!history.revisions) return html`<p class="quiet">${history.failed}</p>`;
  const { revisions } = history;
  const editable = write && one.source === "api";
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Revisions"><table class="history" role="table">
    <thead role="rowgroup"><tr role="row">
      ${["Revision", "When", "Who", "What", "Why", "Requests"].map((head) => html`<th key=${head} scope="col" role="columnheader">${head}</th>`)}
      ${editable && html`<th scope="col" role="columnheader"><span class="unseen">Actions</span></th>`}
    </tr></thead>
    <tbody role="rowgroup">${revisions.map((revision, i) => [revision, revisions[i - 1]]).toReversed().map(
      ([revision, before]) => html`<tr key=${revision.revision} role="row">
        <th scope="row" role="rowheader"><span class="narrow">Revision </span>${revision.revision}${revision.revision === one.revision && html` <span class="tag">current</span>`}</th>
        <td role="cell"><time datetime=${revision.at} title=${date(revision.at)}>${ago(revision.at)}</time></td>
        <td role="cell">${revision.caller || (revision.source === "api" ? "–" : html`<code>${revision.source}</code>`)}</td>
        <td role="cell"><b>${revision.action.replaceAll("_", " ")}</b> <${What} revision=${revision} before=${before} /></td>
        <td role="cell">${revision.why || "–"}</td>
        <td role="cell" class="results"><${Results} revision=${revision} one=${one} outcomes=${outcomes} /></td>
        ${editable && html`<td role="cell"><${Back} one=${one} revision=${revision} /></td>`}
      </tr>`,
    )}</tbody>
  </table></div>`;
}

function Back({ one, revision }) {
  if (revision.revision === one.revision || revision.action === "stopped") return null;
  return html`<button type="button" class="small" aria-label=${`Roll back to revision ${revision.revision}`}
    onClick=${() => become({ dialog: { kind: "rollback", name: one.name, revision: revision.revision } })}>
    Roll back
  </button>`;
}

/** How many requests it had in all, and how many of them failed. */
function Results({ revision, one, outcomes }) {
  const then = outcomes.name === one.name && outcomes.revisions?.find((other) => other.revision === revision.revision);
  const all = revision.revision === one.revision ? one.candidates : Object.values(then?.candidates ?? {});
  const failed = errors(all);
  if (!failed) return "–";
  return html`${count(failed.requests)}<small>${failed.count ? `, ${percent(failed.rate)} failed` : ""}</small>`;
}

function What({ revision, before }) {
  if (revision.action === "stopped") return null;
  if (!before || before.action === "stopped") return html`<span class="change">${split(revision.spec)}</span>`;
  return differences(before.spec, revision.spec).map(({ path, before: was, after }) => html`<span key=${path} class="change">
    ${path.replace(/^candidates\[(.+)\]\.weight$/, "$1")} <s>${was ?? "none"}</s>${" → "}${after ?? "none"}
  </span>`);
}

function split(spec) {
  return (spec?.candidates ?? []).map((each) => `${calledBy(each)} ${each.weight ?? 0}`).join(", ");
}
