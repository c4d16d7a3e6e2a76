// The frame's head: where one is, whether what one sees is live, and that it can only be looked at.

import { time } from "../format.js";
import { html } from "../html.js";
import { LIST } from "../route.js";
import { become } from "../store.js";

const WORDS = { connecting: "Connecting", live: "Live", lost: "Reconnecting", paused: "Paused" };

export function Header({ state }) {
  const { connection, page } = state;
  return html`<header class="head"><div class="inner">
    <a class="brand" href=${LIST}><img src="page/icon.svg" alt="" width="26" height="26" />extproc</a>
    <span class=${`connection connection-${connection.state}`}>${WORDS[connection.state]}</span>
    ${page.write
      ? html`<button class="primary" type="button" onClick=${() => become({ dialog: { kind: "start" } })}>
          Start an experiment
        </button>`
      : page.version && html`<span class="tag" title="extproc was started without --admin-write">read-only</span>`}
  </div></header>`;
}

/** What stands above everything while the connection is away. */
export function Lost({ state }) {
  if (state.connection.state !== "lost") return null;
  return html`<div class="lost"><div class="inner">
    <strong>Connection to extproc lost.</strong> Trying again. ${state.experiments
      ? `What you see is how it was at ${time(state.connection.since)}. Envoy goes on splitting meanwhile.`
      : "Is it running, and is this its admin port?"}
  </div></div>`;
}
