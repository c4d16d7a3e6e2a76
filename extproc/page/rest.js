// The admin port's REST API. Paths are relative, so that the page works behind a proxy that serves it under a prefix.

/** What the API said no to: the title, the detail and the problems of RFC 9457. */
export class Refused extends Error {
  constructor(status, document) {
    super(document.detail || document.title || `status ${status}`);
    this.status = status;
    this.title = document.title || "";
    this.problems = document.problems || [];
  }
}

export function get(path) {
  return ask("GET", path);
}

export function put(name, body, { revision, ...author } = {}, type = "application/json") {
  return ask("PUT", `${experiment(name)}${query(author)}`, { body, type, revision });
}

export function stop(name, { revision, ...author } = {}) {
  return ask("DELETE", `${experiment(name)}${query(author)}`, { revision });
}

export function rollBack(name, to, { revision, ...author } = {}) {
  const body = JSON.stringify({ revision: to });
  return ask("POST", `${experiment(name)}/rollback${query(author)}`, { body, type: "application/json", revision });
}

/** What `put` of this body would do; nothing is changed. */
export function preview(body, type) {
  return ask("POST", "preview", { body, type });
}

export const experiment = (name) => `experiments/${encodeURIComponent(name)}`;

function query({ caller, why }) {
  const given = Object.entries({ caller, why }).filter(([, value]) => value);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

async function ask(method, path, { body, type, revision } = {}) {
  const headers = {};
  if (type) headers["Content-Type"] = type;
  if (revision !== undefined && revision !== null) headers["If-Match"] = `"${revision}"`;
  let answer;
  try {
    answer = await fetch(`api/v1/${path}`, { method, body, headers });
  } catch {
    throw new Refused(0, { detail: "extproc can't be reached" });
  }
  const document = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, document);
  return document;
}
