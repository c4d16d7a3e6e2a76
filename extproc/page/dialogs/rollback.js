// Make an old revision current again, as a new one.

import { Component, html } from "../html.js";
import * as rest from "../rest.js";
import { experiment, now } from "../store.js";
import { Comparison } from "./comparison.js";
import { Dialog } from "./dialog.js";

export class Rollback extends Component {
  constructor({ dialog }) {
    super();
    const one = experiment(dialog.name);
    const wanted = now().history.revisions.find(({ revision }) => revision === dialog.revision);
    this.state = { one, wanted };
  }

  async submit(author) {
    const { one, wanted } = this.state;
    await rest.rollBack(one.name, wanted.revision, { ...author, revision: one.revision });
    return true;
  }

  render(_, { one, wanted }) {
    const before = one.state === "STOPPED" ? null : one.spec;
    return html`<${Dialog} title=${`Roll ${one.name} back to revision ${wanted.revision}?`} action="Roll back"
      submit=${(author) => this.submit(author)}>
      <${Comparison} before=${before} after=${wanted.spec} />
      <p class="quiet">It becomes revision ${one.revision + 1}; nothing of the history is lost.</p>
    </${Dialog}>`;
  }
}
