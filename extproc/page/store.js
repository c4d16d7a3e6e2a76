// What the page knows, as one frozen value, and who is told when it changes. Everything on screen is derived from it.

let state = Object.freeze({
  experiments: null, // the last list; null until the first one came
  problems: [],
  connection: { state: "connecting", since: Date.now() },
  page: { write: false, jaeger: null, version: "" },
  open: "", // the experiment that is shown; "" for the list
  filter: "",
  history: { name: "", revisions: null, failed: "" },
  outcomes: { name: "", revisions: null, failed: "" },
  timeline: { name: "", step: 5, points: null, failed: "" },
  minutes: 15, // of the charts
  dialog: null, // {kind, name, …} of the open dialog
});

const listeners = new Set();

export function now() {
  return state;
}

/** Replace some of the state's fields. */
export function become(changes) {
  const before = state;
  state = Object.freeze({ ...state, ...changes });
  for (const listener of listeners) listener(state, before);
}

/** Call `listener(state, before)` after each change. */
export function watch(listener) {
  listeners.add(listener);
}

/** The experiment of this name, undefined when there is none. */
export function experiment(name, from = state) {
  return from.experiments?.find((one) => one.name === name);
}
