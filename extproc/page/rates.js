// Requests per second, from the counts of the last ten seconds. A count that falls (a new revision) starts anew.

import { CANDIDATE, everyone } from "./shares.js";

const WINDOW = 10; // seconds
const LEAST = 1.5; // seconds between two counts before there is a rate

export class Rates {
  #seen = new Map(); // "experiment revision role candidate" → [[seconds, count], …], oldest first

  /** Take note of the counts as they are at `at` (seconds). */
  note(experiments, at) {
    const current = new Set();
    for (const one of experiments) {
      for (const [key, requests] of counts(one)) {
        current.add(key);
        const points = this.#seen.get(key) ?? [];
        if (points.length && requests < points.at(-1)[1]) points.length = 0;
        points.push([at, requests]);
        while (points.length > 2 && at - points[1][0] >= WINDOW) points.shift();
        this.#seen.set(key, points);
      }
    }
    for (const key of this.#seen.keys()) if (!current.has(key)) this.#seen.delete(key);
  }

  /** Of one candidate, or of another in its `role` (shares.js); null while it is not known. */
  of(one, who, role = CANDIDATE) {
    const points = this.#seen.get(key(one, role, who.name));
    if (!points || points.length < 2) return null;
    const [[from, before], [to, after]] = [points[0], points.at(-1)];
    return to - from < LEAST ? null : (after - before) / (to - from);
  }

  /** Of all candidates of an experiment together. */
  total(one) {
    const rates = one.candidates.map((candidate) => this.of(one, candidate)).filter((rate) => rate !== null);
    return rates.length ? rates.reduce((sum, rate) => sum + rate, 0) : null;
  }

  /** The connection was away: what came in meanwhile says nothing of a second. */
  forget() {
    this.#seen.clear();
  }
}

function* counts(one) {
  for (const { who, role } of everyone(one)) {
    if (Number.isFinite(who.requests)) yield [key(one, role, who.name), who.requests];
  }
}

function key(one, role, name) {
  return `${one.name} ${one.revision} ${role} ${name}`;
}
