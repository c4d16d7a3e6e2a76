// Which experiment is open, in the location's hash, so that it can be linked and the back button works.

const PREFIX = "#/experiments/";

export const LIST = "#/";

export function link(name) {
  return PREFIX + encodeURIComponent(name);
}

/** The name in the hash, "" for the list. */
export function opened(hash = location.hash) {
  if (!hash.startsWith(PREFIX)) return "";
  try {
    return decodeURIComponent(hash.slice(PREFIX.length));
  } catch {
    return "";
  }
}
