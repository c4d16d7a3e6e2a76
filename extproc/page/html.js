// The page's markup: Preact's elements, written as tagged templates. The only module that knows both libraries.

import { Component, h, render } from "./vendor/preact/preact.js";
import htm from "./vendor/htm/htm.js";

export const html = htm.bind(h);
export { Component, render };
