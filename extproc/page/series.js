// A timeline's points as the columns that a chart draws: one list of times, and one of values for each candidate.

import { CANDIDATE } from "./shares.js";

const GAP = 1.5; // steps without a point, and nothing is known in between

/** What the charts show: how it is called, how a step's numbers become a value, and whether nothing means 0. */
export const MEASURES = [
  { key: "traffic", title: "Requests/s", value: (cell, step) => (cell?.requests ?? 0) / step },
  { key: "p99", title: "Latency, p99", value: (cell) => cell?.p99 ?? null },
  { key: "p50", title: "Latency, p50", value: (cell) => cell?.p50 ?? null },
  { key: "errors", title: "Errors", value: (cell) => (cell?.requests ? (cell.errors ?? 0) / cell.requests : null) },
];

/** `[times, …values of each of those who answer]` (shares.js), of the last `minutes`. */
export function columns({ points, step }, measure, answerers, minutes) {
  const from = (points.length ? Date.parse(points.at(-1).at) / 1000 : 0) - minutes * 60;
  const times = [];
  const values = answerers.map(() => []);
  for (const point of points) {
    const at = Date.parse(point.at) / 1000;
    if (at < from) continue;
    if (times.length && at - times.at(-1) > GAP * step) {
      times.push(times.at(-1) + step);
      values.forEach((column) => column.push(null));
    }
    times.push(at);
    answerers.forEach((answerer, i) => values[i].push(measure.value(cell(point, answerer), step)));
  }
  return [times, ...values];
}

function cell(point, { who: { name }, role }) {
  if (role === CANDIDATE) return point.candidates?.[name];
  return role === "mirror" ? (point.mirrors?.[name] ?? point.mirror) : point.untouched?.[role];
}
