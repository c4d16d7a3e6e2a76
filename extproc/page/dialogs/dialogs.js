// The one dialog that may be open, by its kind.

import { html } from "../html.js";
import { Rollback } from "./rollback.js";
import { Start } from "./start.js";
import { Stop } from "./stop.js";
import { Weights } from "./weights.js";

const KINDS = { weights: Weights, stop: Stop, rollback: Rollback, start: Start };

export function Dialogs({ state }) {
  const { dialog } = state;
  return dialog && html`<${KINDS[dialog.kind]} key=${dialog.kind} dialog=${dialog} state=${state} />`;
}
