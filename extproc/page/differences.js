// What changes between two specifications, field by field, in the paths that users write (`candidates[iris].weight`).

/** What a candidate of a specification is called: a cluster's own name is not said twice there. */
export function calledBy({ name, cluster }) {
  return name ?? cluster;
}

/** [{path, before, after}, …]; undefined where there is nothing on that side. */
export function differences(before, after) {
  const [old, fresh] = [flat(before), flat(after)];
  return [...new Set([...old.keys(), ...fresh.keys()])]
    .filter((path) => old.get(path) !== fresh.get(path))
    .map((path) => ({ path, before: old.get(path), after: fresh.get(path) }));
}

function flat(value, path = "", found = new Map()) {
  if (Array.isArray(value)) {
    // Candidates are told apart by their names, so that one that moved up does not count as another.
    value.forEach((item, i) => flat(item, `${path}[${calledBy(item ?? {}) ?? i}]`, found));
  } else if (value && typeof value === "object") {
    for (const [key, item] of Object.entries(value)) {
      const named = path.endsWith(`[${item}]`) && ["name", "cluster"].includes(key);
      if (key !== "@type" && !named) flat(item, path ? `${path}.${key}` : key, found);
    }
  } else if (value !== undefined && value !== null) {
    found.set(path, String(value));
  }
  return found;
}
