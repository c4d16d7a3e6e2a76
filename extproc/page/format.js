// Numbers, times and durations as people read them. Every function takes null or undefined for "not known": a dash.

export const NONE = "–";
const NBSP = "\u00a0";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

export function count(value) {
  return known(value) ? whole.format(value) : NONE;
}

/** A part from 0 to 1 in percent, with as many decimals as tell it from 0 and from 100. */
export function percent(part, decimals = 1) {
  if (!known(part)) return NONE;
  const value = part * 100;
  if (value === 0 || value === 100) return `${value}${NBSP}%`;
  if (value < 0.01) return `<${NBSP}0.01${NBSP}%`;
  return `${Number(value.toFixed(value < 1 || value > 99 ? Math.max(decimals, 2) : decimals))}${NBSP}%`;
}

/** Requests per second. */
export function rate(value) {
  if (!known(value)) return NONE;
  if (value === 0) return "0";
  if (value < 0.1) return "<" + NBSP + "0.1";
  return value < 10 ? value.toFixed(1) : whole.format(value);
}

/** Seconds, in the unit that suits them. */
export function seconds(value) {
  if (!known(value)) return NONE;
  if (value === 0) return "0";
  if (value < 0.001) return `${Math.round(value * 1e6)}${NBSP}µs`;
  if (value < 1) return `${(value * 1000).toPrecision(value < 0.1 ? 2 : 3)}${NBSP}ms`;
  return `${value.toFixed(value < 10 ? 2 : 1)}${NBSP}s`;
}

/** Whether so many errors are worth a colour: below one percent they are shown as any number. */
export function alarming(part) {
  return known(part) && part >= 0.01;
}

/** `low` to `high`, the unit once where both have the same. */
export function interval(low, high, as) {
  const [a, b] = [as(low), as(high)];
  const [first, unit] = a.split(NBSP);
  return b.endsWith(NBSP + unit) && a !== b ? `${first}–${b}` : `${a}–${b}`;
}

export function time(at) {
  return clock.format(new Date(at));
}

export function date(at) {
  return day.format(new Date(at));
}

/** How long ago, to `to` (milliseconds): "just now", "3 min ago", … */
export function ago(at, to = Date.now()) {
  const passed = Math.max(0, (to - new Date(at).getTime()) / 1000);
  if (passed < 10) return "just now";
  if (passed < 60) return `${Math.floor(passed / 10) * 10} s ago`;
  if (passed < 3600) return `${Math.floor(passed / 60)} min ago`;
  if (passed < 86400) return `${Math.floor(passed / 3600)} h ago`;
  return `${Math.floor(passed / 86400)} d ago`;
}
