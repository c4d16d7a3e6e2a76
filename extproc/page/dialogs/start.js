// Start an experiment, or update one, from pasted JSON or YAML: extproc judges it first and says what it would change.

import { Component, html } from "../html.js";
import * as rest from "../rest.js";
import { link } from "../route.js";
import { Comparison } from "./comparison.js";
import { Dialog } from "./dialog.js";

const WORDS = { started: "Start", updated: "Update" };

export class Start extends Component {
  constructor({ dialog }) {
    super();
    this.state = { text: dialog.text ?? "", judged: null };
  }

  async submit(author) {
    const { text, judged } = this.state;
    if (!judged) {
      this.setState({ judged: await rest.preview(text, type(text)) });
      return false;
    }
    // A name that is free now has revision 0; who comes in between is not overwritten.
    await rest.put(judged.name, text, { ...author, revision: judged.revision ?? 0 }, type(text));
    location.hash = link(judged.name);
    return true;
  }

  render(_, { text, judged }) {
    const action = !judged ? "Review" : `${WORDS[judged.action] ?? "Start"} ${judged.name}`;
    return html`<${Dialog} title=${judged ? `${action}?` : "Start an experiment"} action=${action} signed=${Boolean(judged)}
      ready=${judged ? judged.action !== "unchanged" : Boolean(text.trim())}
      back=${judged && (() => this.setState({ judged: null }))} submit=${(author) => this.submit(author)}>
      ${judged ? this.review(judged) : html`<label class="paste">An Experiment or a Seldon manifest, in JSON or YAML
        <textarea name="text" rows="12" spellcheck=${false} autofocus value=${text}
          onInput=${({ target }) => this.setState({ text: target.value })}></textarea></label>`}
    </${Dialog}>`;
  }

  review(judged) {
    if (judged.action === "unchanged") return html`<p>It already runs like this.</p>`;
    return html`<p class="quiet">${judged.before ? "It runs already; this changes:" : "This is new:"}</p>
      <${Comparison} before=${judged.before} after=${judged.after} />`;
  }
}

function type(text) {
  return /^\s*[[{]/.test(text) ? "application/json" : "application/yaml";
}
