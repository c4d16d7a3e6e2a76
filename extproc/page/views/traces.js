// Links to an experiment's traces in Jaeger, found by the tags of Envoy's spans.

import { html } from "../html.js";
import { called, CANDIDATE, mirrors } from "../shares.js";

export function Traces({ one, jaeger }) {
  const links = [
    ["All of the last hour", {}],
    ["With an error", { error: "true" }],
    ["Split by Envoy alone", { "experiment.reason": "fallback" }],
    ...mirrors(one).map(({ name }) => [`Copies to ${name}`, { "experiment.mirror": name }]),
  ];
  return html`<section class="card" aria-labelledby="traces"><h2 id="traces">Traces</h2>
    <ul class="links">${links.map(([words, tags]) => html`<li key=${words}>
      <${Link} jaeger=${jaeger} tags=${{ "experiment.name": one.name, ...tags }}>${words}</${Link}>
    </li>`)}</ul>
  </section>`;
}

/** A function that makes the link to the traces of one who answers, in a role. */
export function tracesOf(one, jaeger) {
  return (who, role) => {
    const tag = role === "mirror" ? { "experiment.mirror": who.name } : { "experiment.candidate": who.name };
    const tags = { "experiment.name": one.name, ...(role === CANDIDATE || role === "mirror" ? tag : { "experiment.reason": role }) };
    const words = ["Traces of", who.name, role === "mirror" ? "" : called(role), "in Jaeger"].filter(Boolean).join(" ");
    return html`<${Link} jaeger=${jaeger} tags=${tags} label=${words}>Jaeger</${Link}>`;
  };
}

function Link({ jaeger, tags, label, children }) {
  const query = new URLSearchParams({ service: jaeger.service, tags: JSON.stringify(tags), lookback: "1h", limit: "20" });
  return html`<a href=${`${jaeger.url}/search?${query}`} target="_blank" rel="noopener noreferrer" aria-label=${label}>
    ${children}<svg class="icon out" viewBox="0 0 24 24" aria-hidden="true"><path d="M9 5H5v14h14v-4M13 5h6v6M19 5l-9 9" /></svg>
  </a>`;
}
