// A line chart over time: lines, an optional target, marks for decisions, a cursor, zoom by dragging, and the same figures
// as a table. Owns drawing; where figures come from and what a zoom does is the caller's business.

import { timeTicks, valueAxis } from "./axis.js";
import { element, svg } from "./element.js";
import { fullMoment, measure, moment } from "./format.js";

const CLASSES = ["first", "second", "third"];

/** Shortest stretch of time that can be zoomed to. */
const SHORTEST_ZOOM_MS = 60_000;

export class Chart {
  /** `series` are labels; a step chart holds each value until the next. */
  constructor({ id, title, unit, series, target, isStep = false, empty = "no requests yet", onzoom }) {
    Object.assign(this, { title, unit, series, target, isStep, onzoom });
    this.data = { from: 0, to: 1, step: 1, lines: series.map(() => []), marks: [] };
    this.legend = element("ul", { class: "legend" });
    this.svg = svg("svg", { tabindex: "0", role: "img", "aria-label": title });
    this.tip = element("div", { class: "tip", hidden: true });
    this.said = element("p", { class: "unseen", "aria-live": "polite" });
    this.empty = element("p", { class: "empty" }, "loading …");
    this.nothing = empty;
    this.plot = element("div", { class: "plot" }, this.svg, this.empty, this.tip);
    this.figures = element("div", { tabindex: "0", role: "region", "aria-label": `Figures of ${title}` });
    this.details = element("details", { class: "figures" }, element("summary", {}, "Table"), this.figures);
    const shown = { ms: "", ratio: "", bytes: "", count: "" }[unit] ?? unit;
    this.node = element("figure", { class: "chart", id }, element("figcaption", {}, element("h3", {}, title, " ", element("span", { class: "unit" }, shown)), this.legend), this.plot, this.said, this.details);
    this.details.addEventListener("toggle", () => this.tabulate());
    new ResizeObserver(() => this.draw()).observe(this.plot);
    this.listen();
  }

  /** `lines`: for each series a list of [at, value], in order. `marks`: decisions. */
  set(data) {
    this.data = { marks: [], ...data };
    this.empty.textContent = this.nothing;
    this.draw();
    this.tabulate();
  }

  /** Draws a line at the target from now on, where there is one. */
  aim(target) {
    if (target === this.target) return;
    this.target = target;
    this.draw();
  }

  x(at) { return this.left + (at - this.data.from) / (this.data.to - this.data.from) * (this.width - this.left - this.right); }
  at(x) { return this.data.from + (x - this.left) / (this.width - this.left - this.right) * (this.data.to - this.data.from); }
  y(value) { return this.bottom - Math.min(value, this.axis.top) / this.axis.top * (this.bottom - this.head); }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.plot;
    if (!width) return;
    const { from, to, lines, marks } = this.data;
    const em = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const values = lines.flat().map(([, value]) => value);
    const most = Math.max(0, ...values);
    this.axis = valueAxis(this.target && most > this.target / 4 ? Math.max(most, this.target) : most, this.unit);
    const labels = this.axis.ticks.map((tick) => measure(tick, this.unit === "ms" || this.unit === "bytes" || this.unit === "ratio" ? this.unit : "count"));
    const left = Math.max(...labels.map((label) => label.length)) * em * 0.43 + em * 0.7;
    Object.assign(this, { width, left, right: em * 0.5, head: em * 0.9, bottom: height - em * 1.35 });
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.empty.hidden = values.length > 0;
    const parts = [];
    this.axis.ticks.forEach((tick, at) => {
      const y = this.y(tick);
      parts.push(svg("line", { class: "gridline", x1: left, x2: width - this.right, y1: y, y2: y }), svg("text", { x: left - em * 0.4, y: y + em * 0.26, "text-anchor": "end" }, labels[at]));
    });
    for (const tick of timeTicks(from, to, Math.max(2, Math.floor(width / (em * 6))))) {
      const x = this.x(tick);
      if (x > left + em && x < width - em * 1.6) parts.push(svg("text", { x, y: height - em * 0.15, "text-anchor": "middle" }, moment(tick, to - from)));
    }
    if (this.target && this.target <= this.axis.top) {
      const y = this.y(this.target);
      parts.push(svg("line", { class: "target", x1: left, x2: width - this.right, y1: y, y2: y }), svg("text", { x: left + em * 0.3, y: y - em * 0.25 }, `target ${measure(this.target, this.unit)}`));
    }
    for (const mark of marks) {
      const x = this.x(mark.at), size = em * 0.36;
      parts.push(svg("g", { class: `mark ${mark.verdict === "rolled-back" ? "taken-back" : ""}` }, svg("line", { x1: x, x2: x, y1: size * 2, y2: this.bottom }), svg("path", { d: `M${x - size} 0h${size * 2}l${-size} ${size * 1.8}z` })));
    }
    lines.forEach((line, at) => parts.push(...this.line(line, CLASSES[at], lines.length === 1)));
    this.cursor = svg("g");
    this.svg.replaceChildren(...parts, this.cursor);
    this.describe();
  }

  /** Broken where nothing was measured. */
  line(points, style, isFilled) {
    const { step, to } = this.data, parts = [];
    let run = [];
    const flush = () => {
      if (!run.length) return;
      if (run.length === 1 && !this.isStep) parts.push(svg("circle", { class: `dot ${style}`, cx: run[0][0], cy: run[0][1], r: 2.4 }));
      const path = run.map(([x, y], at) => at === 0 ? `M${x.toFixed(1)} ${y.toFixed(1)}` : this.isStep ? `H${x.toFixed(1)}V${y.toFixed(1)}` : `L${x.toFixed(1)} ${y.toFixed(1)}`).join("");
      if (isFilled && run.length > 1) parts.push(svg("path", { class: `area ${style}`, d: `${path}V${this.bottom}H${run[0][0].toFixed(1)}Z` }));
      parts.push(svg("path", { class: `line ${style}`, d: path }));
      run = [];
    };
    points.forEach(([at, value], index) => {
      if (!this.isStep && index > 0 && at - points[index - 1][0] > step * 2.5) flush();
      run.push([this.x(at), this.y(value)]);
    });
    if (this.isStep && points.length) run.push([this.x(to), this.y(points.at(-1)[1])]);
    flush();
    return parts;
  }

  describe() {
    const { lines } = this.data;
    this.legend.replaceChildren(...this.series.map((label, at) => element("li", { class: CLASSES[at] }, `${label} `, element("b", {}, measure(lines[at]?.at(-1)?.[1], this.unit)))));
    const words = this.series.map((label, at) => `${label} ${measure(lines[at]?.at(-1)?.[1], this.unit)}`).join(", ");
    const isEmpty = lines.every((line) => !line.length);
    this.svg.setAttribute("aria-label", isEmpty ? `${this.title}: nothing measured` : `${this.title}, latest: ${words}. Arrow keys read single moments; the table below has all of them.`);
  }

  tabulate() {
    if (!this.details.open) return;
    const moments = [...new Set(this.data.lines.flat().map(([at]) => at))].sort((a, b) => b - a);
    const found = this.data.lines.map((line) => new Map(line));
    this.figures.replaceChildren(moments.length ? element("table", {},
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Time"), this.series.map((label) => element("th", { scope: "col", class: "right" }, label)))),
      element("tbody", {}, moments.map((at) => element("tr", { "data-at": at }, element("th", { scope: "row" }, fullMoment(at)),
        found.map((line) => element("td", { class: "right", "data-value": line.get(at) }, measure(line.get(at), this.unit))))))) : element("p", {}, this.empty.textContent));
  }

  // What follows is the cursor and the zoom.

  listen() {
    let began = null;
    const place = (event) => event.clientX - this.svg.getBoundingClientRect().left;
    this.svg.addEventListener("pointerdown", (event) => { if (event.button === 0 && event.pointerType === "mouse") { began = place(event); this.svg.setPointerCapture(event.pointerId); } });
    this.svg.addEventListener("pointermove", (event) => this.show(this.at(place(event)), began));
    this.svg.addEventListener("pointerleave", () => this.hide());
    this.svg.addEventListener("pointerup", (event) => {
      const ended = place(event);
      if (began !== null && Math.abs(ended - began) > 8) this.zoom(this.at(Math.min(began, ended)), this.at(Math.max(began, ended)));
      began = null;
    });
    this.svg.addEventListener("dblclick", () => this.onzoom?.(null));
    this.svg.addEventListener("blur", () => this.hide());
    this.svg.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    const moments = [...new Set(this.data.lines.flat().map(([at]) => at))].sort((a, b) => a - b);
    const now = moments.findIndex((at) => at >= (this.shown ?? Infinity));
    const here = now < 0 ? moments.length - 1 : now;
    const go = { ArrowLeft: here - (this.shown ? 1 : 0), ArrowRight: here + 1, Home: 0, End: moments.length - 1 }[event.key];
    const length = this.data.to - this.data.from, middle = this.shown ?? this.data.to - length / 2;
    if (go !== undefined && moments.length) {
      this.show(moments[Math.max(0, Math.min(go, moments.length - 1))], null);
      this.said.textContent = this.tip.textContent;
    } else if (event.key === "+") this.zoom(middle - length / 4, middle + length / 4);
    else if (event.key === "-") this.onzoom?.(null);
    else if (event.key === "Escape") this.hide();
    else return;
    event.preventDefault();
  }

  zoom(from, to) {
    if (to - from < SHORTEST_ZOOM_MS) { const middle = (from + to) / 2; from = middle - SHORTEST_ZOOM_MS / 2; to = middle + SHORTEST_ZOOM_MS / 2; }
    this.onzoom?.({ from: Math.round(from), to: Math.round(to) });
  }

  show(at, began) {
    if (!this.axis) return;
    at = Math.max(this.data.from, Math.min(at, this.data.to));
    const near = this.data.lines.map((line) => this.isStep ? line.findLast(([time]) => time <= at)
      : line.reduce((best, point) => Math.abs(point[0] - at) < Math.abs((best?.[0] ?? Infinity) - at) ? point : best, undefined));
    const found = near.find((point) => point);
    this.shown = this.isStep ? at : found?.[0] ?? at;
    const x = this.x(this.shown), reach = (this.data.to - this.data.from) / 60;
    const marks = this.data.marks.filter((mark) => Math.abs(mark.at - at) < reach).slice(0, 3);
    this.cursor.replaceChildren(svg("line", { class: "cursor", x1: x, x2: x, y1: this.head, y2: this.bottom }),
      ...near.flatMap((point, line) => point ? [svg("circle", { class: `dot ${CLASSES[line]}`, cx: this.x(this.isStep ? at : point[0]), cy: this.y(point[1]), r: 3.5 })] : []),
      ...(began === null ? [] : [svg("rect", { class: "span", x: Math.min(began, this.x(at)), width: Math.abs(this.x(at) - began), y: this.head, height: this.bottom - this.head })]));
    this.tip.replaceChildren(element("div", { class: "quiet" }, fullMoment(this.shown)),
      element("ul", {}, near.map((point, line) => point ? element("li", {}, `${this.series[line]} `, element("b", {}, measure(point[1], this.unit))) : null)),
      ...marks.map((mark) => element("div", { class: "why" }, element("b", {}, mark.change), ` ${mark.verdict}: ${mark.reason}`, mark.effect ? element("div", { class: "quiet" }, mark.effect) : null)));
    this.tip.hidden = false;
    const isRight = x > this.width / 2;
    this.tip.style.left = isRight ? "" : `${x + 12}px`;
    this.tip.style.right = isRight ? `${this.width - x + 12}px` : "";
    this.tip.style.top = "0.4rem";
  }

  hide() {
    this.shown = undefined;
    this.tip.hidden = true;
    this.cursor?.replaceChildren();
  }
}
