// Edit weights: sliders that move against each other, then what that changes, then it is done.

import { calledBy } from "../differences.js";
import { percent } from "../format.js";
import { Component, html } from "../html.js";
import * as rest from "../rest.js";
import { colour } from "../shares.js";
import { experiment } from "../store.js";
import { fine, rebalance, same, sum } from "../weights.js";
import { Dialog } from "./dialog.js";

export class Weights extends Component {
  constructor({ dialog }) {
    super();
    const { spec, revision } = experiment(dialog.name);
    const before = spec.candidates.map(({ weight }) => weight ?? 0);
    const weights = fine(before);
    // Each movement starts from `held`, so that moving to and fro ends where it began.
    this.state = { spec, revision, before, weights, held: weights, locked: before.map(() => false), review: false };
  }

  move(i, value) {
    if (!Number.isFinite(value)) return;
    this.setState(({ held, locked }) => ({ weights: rebalance(held, i, value, locked) }));
  }

  hold() {
    this.setState(({ weights }) => ({ held: weights }));
  }

  lock(i) {
    this.hold();
    this.setState(({ locked }) => ({ locked: locked.map((is, other) => (other === i ? !is : is)) }));
  }

  after() {
    const { spec, weights } = this.state;
    return { ...spec, candidates: spec.candidates.map((candidate, i) => ({ ...candidate, weight: weights[i] })) };
  }

  async submit(author) {
    const { spec, revision, review } = this.state;
    if (!review) {
      this.setState({ review: true });
      return false;
    }
    await rest.put(spec.name, JSON.stringify(this.after()), { ...author, revision });
    return true;
  }

  render({ dialog }, { spec, revision, before, weights, review }) {
    const overtaken = experiment(dialog.name)?.revision !== revision;
    return html`<${Dialog} title=${`${review ? "Change" : "Edit"} the weights of ${spec.name}`} signed=${review}
      action=${review ? "Change weights" : "Review the change"} ready=${!same(before, weights)}
      back=${review && (() => this.setState({ review: false }))} submit=${(author) => this.submit(author)}>
      ${overtaken && html`<p class="warning">It was changed meanwhile: close this, and look at it again.</p>`}
      ${review ? html`<${Review} spec=${spec} before=${before} weights=${weights} />` : this.sliders()}
    </${Dialog}>`;
  }

  sliders() {
    const { spec, before, weights, locked } = this.state;
    const [total, was] = [sum(weights), sum(before)];
    return html`<p class="quiet">They always sum up to ${total}: what one gains, the others give.</p>
      <div class="sliders">${spec.candidates.map(calledBy).map((name, i) => html`<div key=${name} class=${`slider ${colour(i)}`}>
        <label for=${`weight-${i}`}>${name}</label>
        <input id=${`weight-${i}`} type="range" min="0" max=${total} step="1" value=${weights[i]} autofocus=${i === 0}
          aria-valuetext=${`${weights[i]} of ${total}, ${percent(weights[i] / total)}`}
          onPointerDown=${() => this.hold()} onKeyDown=${() => this.hold()} onInput=${({ target }) => this.move(i, target.valueAsNumber)} />
        <input type="number" min="0" max=${total} step="1" value=${weights[i]} aria-label=${`Weight of ${name}`}
          onFocus=${() => this.hold()} onInput=${({ target }) => this.move(i, target.valueAsNumber)} />
        <span class="now">${percent(weights[i] / total)}<small>was ${percent(was ? before[i] / was : null)}</small></span>
        ${weights.length > 2 && html`<label class="lock"><input type="checkbox" checked=${locked[i]}
          onChange=${() => this.lock(i)} />keep<span class="unseen"> the weight of ${name}</span></label>`}
      </div>`)}</div>`;
  }
}

function Review({ spec, before, weights }) {
  const [was, will] = [sum(before), sum(weights)];
  const bar = (numbers) => html`<div class="bar thick" aria-hidden="true">
    ${numbers.map((number, i) => html`<i key=${i} class=${colour(i)} style=${{ flexGrow: number }} />`)}</div>`;
  return html`<div class="split" aria-hidden="true">
      <span class="split-label">before</span>${bar(before)}<span class="split-label">after</span>${bar(weights)}
    </div>
    <table class="comparison" aria-label="What changes">
      <thead><tr><th scope="col">Candidate</th><th scope="col">Before</th><th scope="col">After</th></tr></thead>
      <tbody>${spec.candidates.map(calledBy).map((name, i) => html`<tr key=${name}><th scope="row">${name}</th>
        <td class="was">${before[i]} ${was !== 100 && html`<small>${percent(was ? before[i] / was : null)}</small>`}</td>
        <td class="will">${weights[i]} ${will !== 100 && html`<small>${percent(weights[i] / will)}</small>`}</td></tr>`)}</tbody>
    </table>
    <p class="quiet">It is live as soon as you confirm. Clients that stay with a candidate by their token stay.</p>`;
}
