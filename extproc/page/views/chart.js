// One uPlot chart, kept alive across renders: new data is drawn into it. Its colours are the style sheet's, in light
// and in dark.

import { Component, html } from "../html.js";
import { time } from "../format.js";
import uPlot from "../vendor/uplot/uPlot.esm.js";

const HEIGHT = 168; // px
const MARKS = [60, 120, 300, 600, 900, 1800]; // seconds between two times on the axis
const dark = matchMedia("(prefers-color-scheme: dark)");
const cursors = uPlot.sync("charts"); // the same moment in all of them

export class Chart extends Component {
  componentDidMount() {
    this.draw();
    this.resized = new ResizeObserver(() => this.plot.setSize(this.size()));
    this.resized.observe(this.element);
    this.themed = () => this.plot.redraw();
    dark.addEventListener("change", this.themed);
  }

  componentWillUnmount() {
    this.resized.disconnect();
    dark.removeEventListener("change", this.themed);
    this.plot.destroy();
  }

  componentDidUpdate({ lines }) {
    if (lines.map(({ name }) => name).join() === this.props.lines.map(({ name }) => name).join()) {
      this.plot.setData(this.props.data);
    } else {
      this.plot.destroy();
      this.draw();
    }
  }

  draw() {
    this.plot = new uPlot(this.options(), this.props.data, this.element);
  }

  size() {
    return { width: Math.max(this.element.clientWidth, 120), height: HEIGHT };
  }

  options() {
    const { lines, show, whole } = this.props;
    const ink = (name) => getComputedStyle(this.element).getPropertyValue(name);
    const axis = { stroke: () => ink("--quiet"), font: "11px system-ui, sans-serif", ticks: { show: false } };
    return {
      ...this.size(),
      legend: { show: false },
      padding: [8, 18, 0, 0],
      cursor: { sync: { key: cursors.key }, y: false, drag: { x: false, y: false }, points: { size: 7 } },
      hooks: { setCursor: [(plot) => this.read(plot)] },
      scales: { y: { range: (_, low, high) => [0, high > 0 ? high * 1.15 : whole ? 0.01 : 1] } },
      axes: [
        { ...axis, size: 24, grid: { show: false }, space: 64, incrs: MARKS, values: (_, marks) => marks.map((at) => time(at * 1000).slice(0, 5)) },
        { ...axis, size: 58, gap: 6, space: 34, grid: { stroke: () => ink("--line"), width: 1 }, values: (_, marks) => marks.map(show) },
      ],
      series: [
        {},
        ...lines.map(({ name, colour, dashed }) => ({
          label: name,
          stroke: () => ink(`--${colour}`),
          width: 1.75,
          dash: dashed ? [5, 4] : undefined,
          points: { show: (_, __, from, to) => to - from < 2 },
        })),
      ],
    };
  }

  /** What the lines say where the pointer is. */
  read(plot) {
    const { idx } = plot.cursor;
    const { data, lines, show } = this.props;
    const at = idx === null || idx === undefined ? undefined : data[0][idx];
    const parts = at === undefined ? [] : lines.map(({ name }, i) => `${name} ${show(data[i + 1][idx])}`);
    this.element.querySelector("output").textContent = parts.length ? `${time(at * 1000)}  ${parts.join("   ")}` : "";
  }

  render({ label }) {
    return html`<div ref=${(element) => (this.element = element ?? this.element)} class="chart" role="img" aria-label=${label}><output aria-hidden="true"></output></div>`;
  }
}
