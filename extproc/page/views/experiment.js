// One experiment in full.

import { alarming, count, percent, rate } from "../format.js";
import { html } from "../html.js";
import { LIST } from "../route.js";
import { errors, everyone } from "../shares.js";
import { become, experiment } from "../store.js";
import { Answers, Reasons } from "./answers.js";
import { Candidates } from "./candidates.js";
import { Charts } from "./charts.js";
import { Events } from "./events.js";
import { History } from "./history.js";
import { Spec } from "./spec.js";
import { Split } from "./split.js";
import { State } from "./states.js";
import { Traces, tracesOf } from "./traces.js";
import { Mismatch, Problems } from "./warnings.js";

export function Experiment({ state, rates }) {
  const one = experiment(state.open);
  if (!one) return html`<${Missing} state=${state} />`;
  const { jaeger } = state.page;
  const counted = everyone(one).some(({ who }) => who.requests);
  return html`
    <nav aria-label="Breadcrumb"><a class="back" href=${LIST}>Experiments</a></nav>
    <div class="title">
      <h1 tabindex="-1">${one.name}</h1>
      <${State} state=${one.state} />
      <${Actions} one=${one} write=${state.page.write} />
    </div>
    <p class="lead">${one.reason}</p>
    <${Mismatch} one=${one} long />
    <${Problems} problems=${one.problems}
      title=${one.state === "REJECTED" ? "It was refused" : "A newer version was refused; this one stays in force"} />
    <${Facts} one=${one} rates=${rates} />
    ${one.candidates.length > 0 && html`<section class="card" aria-labelledby="candidates">
      <div class="section-head"><h2 id="candidates">Candidates</h2><${Fit} split=${one.split} /></div>
      <${Split} one=${one} />
      <${Candidates} one=${one} rates=${rates} full traces=${jaeger && tracesOf(one, jaeger)} />
    </section>`}
    <${Charts} one=${one} timeline=${state.timeline} minutes=${state.minutes} />
    ${counted && html`<div class="columns">
      <section class="card" aria-labelledby="reasons"><h2 id="reasons">Why requests went there</h2>
        <${Reasons} one=${one} /></section>
      <section class="card" aria-labelledby="answers"><h2 id="answers">Answers</h2><${Answers} one=${one} /></section>
    </div>`}
    <section class="card" aria-labelledby="history"><h2 id="history">History</h2>
      <${History} one=${one} history=${state.history} outcomes=${state.outcomes} write=${state.page.write} /></section>
    <div class="columns">
      <section class="card" aria-labelledby="events"><h2 id="events">Events</h2><${Events} events=${one.events} /></section>
      <${Spec} spec=${one.spec} />
    </div>
    ${jaeger && html`<${Traces} one=${one} jaeger=${jaeger} />`}`;
}

function Actions({ one, write }) {
  if (!write) return null;
  if (one.source !== "api") {
    return html`<p class="managed">Managed by <code>${one.source}</code>: change it there.</p>`;
  }
  const open = (kind) => () => become({ dialog: { kind, name: one.name } });
  if (one.state === "STOPPED") return html`<p class="managed">Its history can bring it back.</p>`;
  return html`<p class="actions">
    <button type="button" onClick=${open("weights")} disabled=${one.candidates.length < 2}>Edit weights</button>
    <button type="button" class="danger" onClick=${open("stop")}>Stop</button>
  </p>`;
}

function Facts({ one, rates }) {
  const failed = errors(one.candidates);
  const facts = [
    ["Requests/s", rate(rates.total(one))],
    ["Errors", html`<span class=${alarming(failed?.rate) ? "bad" : ""}>${percent(failed?.rate)}</span>`],
    ["Requests", count(failed ? failed.requests : sumOf(one))],
    ["Revision", one.revision ?? "–"],
    ["Source", one.source === "api" ? "API" : html`<code>${one.source}</code>`],
    ["Envoy", one.conditions?.accepted ? "runs it" : one.state === "STOPPED" ? "–" : "has not accepted it"],
  ];
  return html`<dl class="facts">
    ${facts.map(([what, value]) => html`<div key=${what}><dt>${what}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}

function sumOf(one) {
  const known = one.candidates.filter(({ requests }) => Number.isFinite(requests));
  return known.length ? known.reduce((sum, { requests }) => sum + requests, 0) : null;
}

/** Whether the observed split fits the weights, in a few words. */
function Fit({ split }) {
  if (!split?.requests || !Number.isFinite(split.pValue)) return null;
  const p = split.pValue < 0.001 ? "< 0.001" : split.pValue.toFixed(3);
  return html`<p class="fit" title="Pearson's chi-squared test of the fresh weighted assignments">
    ${split.mismatch ? "The split does not fit" : "The split fits"} its weights, p ${p} over ${count(split.requests)}${" "}
    fresh assignments
  </p>`;
}

function Missing({ state }) {
  const known = state.experiments;
  return html`<nav aria-label="Breadcrumb"><a class="back" href=${LIST}>Experiments</a></nav>
    <div class="title"><h1 tabindex="-1">${state.open}</h1></div>
    <p class="lead">${known ? "No experiment has this name, or it was stopped long ago." : "Loading…"}</p>`;
}
