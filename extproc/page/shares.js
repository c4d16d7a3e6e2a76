// What each candidate should get and does get, and the colour it has everywhere on the page.

const COLOURS = 8; // in css/tokens.css

/** The class that gives the candidate at this place its colour. */
export function colour(index) {
  return `colour-${index % COLOURS}`;
}

export const MIRROR = "colour-mirror";

export const UNTOUCHED = "colour-untouched";
export const CANDIDATE = "candidate"; // the other roles: "mirror", and "holdout", "other_slot", "no_unit"
const COPIES = "mirror";

/** Everybody who answers for an experiment, in the order in which they are shown: who, in which role, in which colour. */
export function everyone(one) {
  return [
    ...one.candidates.map((who, i) => ({ who, role: CANDIDATE, colour: colour(i) })),
    // Requests that are left to the default: `name` says why.
    ...(one.untouched ?? []).map(({ name, ...left }) => ({
      who: { ...left, name: left.model }, role: name, colour: UNTOUCHED,
    })),
    ...mirrors(one).map((who) => ({ who, role: COPIES, colour: MIRROR })),
  ];
}

/** What tells a role apart, in words; nothing for a candidate. */
export function called(role) {
  return role === CANDIDATE ? "" : role.replaceAll("_", " ");
}

/** The mirrors of an experiment, none, one or several. */
export function mirrors(one) {
  return one.mirrors ?? (one.mirror ? [one.mirror] : []);
}

/** The configured part, 0 to 1; null where all weights are 0. */
export function configured(one, candidate) {
  const total = one.candidates.reduce((sum, { weight }) => sum + weight, 0);
  return total ? candidate.weight / total : null;
}

/** The part of fresh weighted assignments this candidate got; null before there were any. */
export function observed(one, candidate) {
  if (!one.split?.requests) return null;
  return one.split.observed?.[candidate.name] ?? 0;
}

/** Whether requests are now shared otherwise than configured: a candidate is not ready. */
export function narrowed(one) {
  return one.candidates.some((candidate) => Math.abs(candidate.share - (configured(one, candidate) ?? 0)) > 1e-9);
}

/** Requests, errors and the rate of errors, of all candidates together; null where nothing is known. */
export function errors(list) {
  const known = list.filter((candidate) => candidate.outcomes?.errors && candidate.requests);
  if (!known.length) return null;
  const requests = known.reduce((sum, candidate) => sum + candidate.requests, 0);
  const count = known.reduce((sum, candidate) => sum + candidate.outcomes.errors.count, 0);
  return { requests, count, rate: count / requests };
}
