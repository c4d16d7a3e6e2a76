// Stop an experiment: what its requests meet afterwards.

import { percent } from "../format.js";
import { Component, html } from "../html.js";
import * as rest from "../rest.js";
import { configured, mirrors } from "../shares.js";
import { experiment } from "../store.js";
import { Dialog } from "./dialog.js";

export class Stop extends Component {
  constructor({ dialog }) {
    super();
    this.state = { one: experiment(dialog.name) }; // as it was when the question was asked
  }

  async submit(author) {
    const { name, revision } = this.state.one;
    await rest.stop(name, { ...author, revision });
    return true;
  }

  render(_, { one }) {
    const split = one.candidates.map((who) => `${who.name} ${percent(configured(one, who))}`).join(", ");
    const base = one.spec?.default;
    const between = one.candidates.some(({ cluster }) => cluster);
    const rows = [
      ...(between ? [["Requests that match", split, "go on to the routes after it"]] : [
        ...(base ? [[`Requests for ${base}`, split, `${base} 100 %`]] : []),
        [`Requests for ${one.name}.experiment`, split, "answered with 404"],
      ]),
      ...mirrors(one).map(({ name, percent: part }) => [`Copies to ${name}`, `${part} %`, "none"]),
    ];
    return html`<${Dialog} title=${`Stop ${one.name}?`} action="Stop the experiment" danger
      submit=${(author) => this.submit(author)}>
      <table class="comparison" aria-label="What changes">
        <thead><tr><td></td><th scope="col">Now</th><th scope="col">Afterwards</th></tr></thead>
        <tbody>${rows.map(([what, was, will]) => html`<tr key=${what}><th scope="row">${what}</th>
          <td class="was">${was}</td><td class="will">${will}</td></tr>`)}</tbody>
      </table>
      <p class="quiet">Its history is kept for a while, and can bring it back.</p>
    </${Dialog}>`;
  }
}
