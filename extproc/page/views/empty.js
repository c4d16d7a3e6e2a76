// No experiments: how to start one.

import { html } from "../html.js";
import { become } from "../store.js";

const SAMPLE = `name: iris-ab
default: iris
candidates:
  - {name: iris, weight: 70}
  - {name: iris2, weight: 30}
mirror: {name: iris3, percent: 10}`;

export function Empty({ write }) {
  return html`<section class="empty" aria-labelledby="empty">
    <img src="page/icon.svg" alt="" width="72" height="72" />
    <h2 id="empty">No experiments yet</h2>
    <p>An experiment splits the requests for one model between several:</p>
    <pre tabindex="0" aria-label="A sample experiment in YAML"><code>${SAMPLE}</code></pre>
    <p>Then start it${write ? " here, or" : ""} in a terminal; or put it into a file of <code>--resources</code>.</p>
    <pre tabindex="0" aria-label="The command that starts it"><code>extproc experiment start -f iris-ab.yaml</code></pre>
    ${write && html`<button class="primary" type="button"
      onClick=${() => become({ dialog: { kind: "start", text: SAMPLE } })}>Start an experiment</button>`}
  </section>`;
}
