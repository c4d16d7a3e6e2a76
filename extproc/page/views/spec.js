// The specification as JSON, to read and to take away.

import { Component, html } from "../html.js";

export class Spec extends Component {
  async copy() {
    await navigator.clipboard.writeText(text(this.props.spec));
    this.setState({ copied: true });
  }

  render({ spec }, { copied }) {
    if (!spec) return null;
    // Browsers have a clipboard for pages of this machine and of https only.
    const button = navigator.clipboard && html`<button type="button" class="small" onClick=${() => this.copy()}>
      ${copied ? "Copied" : "Copy"}
    </button>`;
    return html`<section class="card" aria-labelledby="spec">
      <div class="section-head"><h2 id="spec">Specification</h2>${button}</div>
      <pre tabindex="0" aria-labelledby="spec"><code>${text(spec)}</code></pre>
    </section>`;
  }
}

export function text(spec) {
  return JSON.stringify(spec, null, 2);
}
