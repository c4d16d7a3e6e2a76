// Puts the page together: the stream feeds the store, the store is drawn, the location says what is open.

import { announce, news } from "./announce.js";
import { Dialogs } from "./dialogs/dialogs.js";
import { html, render } from "./html.js";
import { Rates } from "./rates.js";
import { experiment as path, get } from "./rest.js";
import { opened } from "./route.js";
import { become, experiment, now, watch } from "./store.js";
import { follow } from "./stream.js";
import { Experiment } from "./views/experiment.js";
import { Header, Lost } from "./views/header.js";
import { List } from "./views/list.js";

const TICK = 1000; // ms; rates and "3 min ago" go on when nothing comes in

const root = document.getElementById("app");
const rates = new Rates();
let drawing = 0;

function Page({ state }) {
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <${Header} state=${state} />
    <${Lost} state=${state} />
    <main id="main" class=${`inner ${state.connection.state === "lost" ? "stale" : ""}`} tabindex="-1">
      ${state.open ? html`<${Experiment} key=${state.open} state=${state} rates=${rates} />`
        : html`<${List} state=${state} rates=${rates} />`}
    </main>
    <${Dialogs} state=${state} />`;
}

function skip(event) {
  event.preventDefault(); // the hash is the location of what is open
  document.getElementById("main").focus();
}

function draw() {
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    render(html`<${Page} state=${now()} />`, root);
  });
}

/** Show what the location names, and put the focus where its content begins. */
function go() {
  const left = now().open;
  const open = opened();
  become({ open, dialog: null });
  document.title = `${open || "Experiments"} · extproc`;
  if (open) load();
  requestAnimationFrame(() => {
    scrollTo(0, 0);
    const back = left && !open && document.getElementById(`name-${left}`)?.querySelector("a");
    (back || document.querySelector("h1"))?.focus({ preventScroll: !back });
  });
}

/** History, earlier outcomes and timeline of what is open; they are not in the stream. */
function load() {
  const name = now().open;
  if (!experiment(name)) return;
  fetchInto("history", name, "history", ({ revisions }) => ({ revisions }));
  if (counted()) fetchInto("outcomes", name, "outcomes", ({ revisions }) => ({ revisions }));
  loadTimeline();
}

function loadTimeline() {
  if (counted()) fetchInto("timeline", now().open, "timeline", ({ step, points }) => ({ step, points }));
}

/** Whether extproc keeps count of what is open: it may have been told not to. */
function counted() {
  return experiment(now().open)?.candidates.some(({ requests }) => Number.isFinite(requests));
}

async function fetchInto(field, name, part, pick) {
  const kept = now()[field].name === name ? now()[field] : {};
  let found;
  try {
    found = { ...pick(await get(`${path(name)}/${part}`)), failed: "" };
  } catch (refused) {
    found = { failed: refused.message };
  }
  if (now().open === name) become({ [field]: { ...kept, name, ...found } });
}

function take({ experiments, problems }) {
  const open = now().open;
  const before = experiment(open);
  rates.note(experiments, performance.now() / 1000);
  become({ experiments, problems });
  if (before?.revision !== experiment(open)?.revision) load();
}

function tell(state) {
  if (state === now().connection.state) return;
  if (state !== "live") rates.forget();
  become({ connection: { state, since: Date.now() } });
  if (state === "live") {
    learn();
    load();
  }
}

async function learn() {
  const page = await get("page").catch(() => null);
  if (page) become({ page });
}

watch(draw);
watch((state, before) => announce(news(state, before)));
addEventListener("hashchange", go);
become({ open: opened() });
document.title = `${now().open || "Experiments"} · extproc`;
follow(take, tell);

let ticks = 0;
setInterval(() => {
  const { connection, experiments, timeline } = now();
  if (connection.state !== "live" || !experiments) return;
  rates.note(experiments, performance.now() / 1000);
  ticks += 1;
  if (ticks % timeline.step === 0) loadTimeline();
  draw();
}, TICK);
