// Weights that are moved against each other. Must stay true: whole numbers, none below 0, and always the same sum.

const FINE = 100; // a sum below this can't be split finely

/** The weights with one set to `value`; the others, but the locked ones, share the rest as they did before. */
export function rebalance(weights, index, value, locked = []) {
  const total = sum(weights);
  const fixed = sum(weights.filter((_, i) => i !== index && locked[i]));
  const others = weights.map((_, i) => i).filter((i) => i !== index && !locked[i]);
  if (!others.length) return [...weights];
  const set = Math.min(Math.max(Math.round(value), 0), total - fixed);
  const rest = apportion(
    others.map((i) => weights[i]),
    total - fixed - set,
  );
  const next = [...weights];
  next[index] = set;
  others.forEach((i, place) => (next[i] = rest[place]));
  return next;
}

/** The same shares in numbers that can be moved by one percent: 1 to 1 becomes 50 to 50, what is fine stays. */
export function fine(weights) {
  const total = sum(weights);
  return total === 0 || total >= FINE ? [...weights] : weights.map((weight) => weight * Math.ceil(FINE / total));
}

/** Whether both give every candidate the same share. */
export function same(a, b) {
  const [all, other] = [BigInt(sum(a)), BigInt(sum(b))];
  return a.every((weight, i) => BigInt(weight) * other === BigInt(b[i]) * all);
}

export function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Split `whole` in proportion to `parts`, in whole numbers: the largest remainders are rounded up (Hamilton). */
function apportion(parts, whole) {
  // BigInt: a product of two weights has more digits than a number holds exactly.
  const given = sum(parts) ? parts.map(BigInt) : parts.map(() => 1n);
  const total = given.reduce((all, part) => all + part, 0n);
  const shares = given.map((part) => Number((part * BigInt(whole)) / total));
  const remainders = given.map((part, i) => [(part * BigInt(whole)) % total, i]);
  remainders.sort(([a, i], [b, j]) => (a === b ? i - j : a > b ? -1 : 1));
  for (const [, i] of remainders.slice(0, whole - sum(shares))) shares[i] += 1;
  return shares;
}
