// All experiments, one card each, and what to do when there is none.

import { alarming, percent, rate } from "../format.js";
import { html } from "../html.js";
import { link } from "../route.js";
import { errors, mirrors } from "../shares.js";
import { become } from "../store.js";
import { Candidates } from "./candidates.js";
import { Empty } from "./empty.js";
import { Split } from "./split.js";
import { State } from "./states.js";
import { Mismatch, Problems, Refused } from "./warnings.js";

const FILTER_FROM = 6; // so many can be looked through without
const SHOWN = 100; // cards at once; the filter finds the others

export function List({ state, rates }) {
  const { experiments, filter } = state;
  if (!experiments) return html`<p class="loading">${state.connection.state === "lost" ? "" : "Loading…"}</p>`;
  const found = experiments.filter((one) => matches(one, filter));
  // What was stopped is looked up, not looked at.
  const shown = found.toSorted((a, b) => (a.state === "STOPPED") - (b.state === "STOPPED")).slice(0, SHOWN);
  return html`
    <div class="title">
      <h1 tabindex="-1">Experiments</h1>
      <${Summary} experiments=${experiments} rates=${rates} />
      ${experiments.length >= FILTER_FROM && html`<input type="search" aria-label="Filter experiments"
        placeholder="Filter by name, model or state" value=${filter}
        onInput=${(event) => become({ filter: event.target.value })} />`}
    </div>
    ${!experiments.length && html`<${Empty} write=${state.page.write} />`}
    ${experiments.length > 0 && !found.length && html`<p class="loading">No experiment matches “${filter}”.</p>`}
    <ul class="cards">${shown.map((one) => html`<li key=${one.name}><${Card} one=${one} rates=${rates} /></li>`)}</ul>
    ${found.length > SHOWN && html`<p class="loading">and ${found.length - SHOWN} more: filter to see them</p>`}
    <${Refused} problems=${elsewhere(state)} />`;
}

function Card({ one, rates }) {
  const failed = errors(one.candidates);
  return html`<article class="card" aria-labelledby=${`name-${one.name}`}>
    <header>
      <h2 id=${`name-${one.name}`}><a href=${link(one.name)}>${one.name}</a></h2>
      <${State} state=${one.state} />
      <p class="reason">${one.reason}</p>
      ${one.candidates.length > 0 && html`<p class="totals">
        <span><b>${rate(rates.total(one))}</b> requests/s</span>
        <span><b class=${alarming(failed?.rate) ? "bad" : ""}>${percent(failed?.rate)}</b> errors</span>
      </p>`}
    </header>
    <${Mismatch} one=${one} />
    <${Problems} problems=${one.state === "REJECTED" ? [] : one.problems}
      title="A newer version was refused; this one stays in force" />
    <${Split} one=${one} />
    ${one.candidates.length > 0 && html`<${Candidates} one=${one} rates=${rates} />`}
  </article>`;
}

function Summary({ experiments, rates }) {
  if (!experiments.length) return null;
  const running = experiments.filter(({ state }) => state === "ACTIVE" || state === "DEGRADED").length;
  const perSecond = experiments.map((one) => rates.total(one)).filter((value) => value !== null);
  const all = perSecond.length ? rate(perSecond.reduce((sum, value) => sum + value, 0)) : "";
  return html`<p class="summary">${running} of ${experiments.length} running${all && html`, <b>${all}</b> requests/s`}</p>`;
}

function matches(one, filter) {
  const words = filter.trim().toLowerCase().split(/\s+/);
  const text = [one.name, one.state, one.source, ...[...one.candidates, ...mirrors(one)].map(({ name }) => name)];
  const all = text.filter(Boolean).join(" ").toLowerCase();
  return words.every((word) => all.includes(word));
}

/** What was refused and is shown by no card. */
function elsewhere({ problems, experiments }) {
  const shown = new Set(experiments.filter((one) => one.problems?.length).map(({ name }) => name));
  return problems.filter(({ kind, name }) => kind !== "Experiment" || !shown.has(name));
}
