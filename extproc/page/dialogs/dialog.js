// A modal dialog that asks before it changes something: what is to be, why, and a button that does it.
// The browser's own <dialog> keeps the focus inside, closes at Escape and gives the focus back.

import { Component, html } from "../html.js";
import { become } from "../store.js";

const CALLER = "extproc.caller";

export class Dialog extends Component {
  state = { busy: false, refused: null };

  componentDidMount() {
    this.element.showModal();
  }

  componentDidUpdate({ title }) {
    // What had the focus is gone with the step before.
    if (title !== this.props.title) this.element.querySelector("h2").focus();
  }

  close() {
    this.element.close(); // gives the focus back; `close` below takes the dialog away
  }

  async submit(event) {
    event.preventDefault();
    const form = new FormData(event.target);
    const author = { caller: form.get("caller")?.trim(), why: form.get("why")?.trim() };
    if (author.caller) remember(author.caller);
    this.setState({ busy: true, refused: null });
    try {
      const done = await this.props.submit(author, form);
      this.setState({ busy: false });
      if (done) this.close();
    } catch (refused) {
      this.setState({ busy: false, refused });
    }
  }

  render({ title, action, danger, ready = true, signed = true, back, children }, { busy, refused }) {
    return html`<dialog ref=${(element) => (this.element = element ?? this.element)} aria-labelledby="dialog-title" onClose=${() => become({ dialog: null })}>
      <form method="dialog" onSubmit=${(event) => this.submit(event)}>
        <h2 id="dialog-title" tabindex="-1">${title}</h2>
        ${children}
        ${signed && html`<div class="author">
          <label>Your name <input name="caller" maxlength="100" autocomplete="off" defaultValue=${remembered()} /></label>
          <label>Why <input name="why" maxlength="500" autocomplete="off" /></label>
        </div>`}
        <div role="alert">${refused && html`<${Refusal} refused=${refused} />`}</div>
        <div class="buttons">
          <button type="button" onClick=${() => this.close()}>Cancel</button>
          ${back && html`<button type="button" onClick=${back}>Back</button>`}
          <button type="submit" class=${danger ? "danger filled" : "primary"} disabled=${!ready || busy}>
            ${busy ? "Waiting for Envoy…" : action}
          </button>
        </div>
      </form>
    </dialog>`;
  }
}

function Refusal({ refused }) {
  const stale = refused.status === 412 ? " Close this, and look at what is in force now." : "";
  return html`<div class="warning problem"><div>
    <strong>Not done.</strong> ${refused.problems?.length ? "" : `${refused.message}.${stale}`}
    <ul>${(refused.problems ?? []).map(({ path, message }) => html`<li key=${path + message}>
      ${path && html`<code>${path}</code> `}${message}</li>`)}</ul>
  </div></div>`;
}

function remember(caller) {
  try {
    localStorage.setItem(CALLER, caller);
  } catch {
    // The browser keeps nothing for this page: then it is typed anew.
  }
}

function remembered() {
  try {
    return localStorage.getItem(CALLER) ?? "";
  } catch {
    return "";
  }
}
