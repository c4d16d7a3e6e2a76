// What a screen reader is told without being asked: states, weights and the connection; never numbers that tick.

import { experiment } from "./store.js";

const CONNECTION = { lost: "Connection to extproc lost. Trying again.", live: "Connected to extproc again." };

/** What a person would want to hear of what is new between two states. */
export function news(state, before) {
  const said = [];
  const [is, was] = [state.connection.state, before.connection.state];
  if (is !== was && (is === "lost" || was === "lost")) said.push(CONNECTION[is]);
  if (!before.experiments || state.experiments === before.experiments) return said.filter(Boolean);
  for (const one of state.experiments) {
    const old = experiment(one.name, before);
    if (!old) said.push(`New experiment ${one.name}: ${one.state}.`);
    else if (old.state !== one.state) said.push(`${one.name} is now ${one.state}: ${one.reason}.`);
    else if (split(old) !== split(one)) said.push(`${one.name} is now split ${split(one)}.`);
    if (one.split?.mismatch && !old?.split?.mismatch) said.push(`${one.name}: sample ratio mismatch.`);
  }
  for (const old of before.experiments) {
    if (!experiment(old.name, state)) said.push(`${old.name} is no longer listed.`);
  }
  return said.filter(Boolean);
}

export function announce(sentences) {
  if (sentences.length) document.getElementById("announcer").textContent = sentences.join(" ");
}

function split(one) {
  return one.candidates.map((candidate) => `${candidate.name} ${candidate.weight}`).join(", ");
}
