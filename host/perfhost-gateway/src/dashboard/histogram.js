// A histogram with bars of equal width, one a bucket, and its figures as a table.

import { element, svg } from "./element.js";
import { measure, number } from "./format.js";
import { valueAxis } from "./axis.js";

export class Histogram {
  constructor({ id, title, note }) {
    this.buckets = [];
    this.title = title;
    this.svg = svg("svg", { role: "img", "aria-label": title });
    this.empty = element("p", { class: "empty" }, "loading …");
    this.plot = element("div", { class: "plot" }, this.svg, this.empty);
    this.figures = element("div", { tabindex: "0", role: "region", "aria-label": `Figures of ${title}` });
    this.total = element("span", { class: "unit" });
    this.node = element("figure", { class: "chart", id }, element("figcaption", {}, element("h3", {}, title, " ", element("span", { class: "unit" }, note)), this.total),
      this.plot, element("details", { class: "figures" }, element("summary", {}, "Table"), this.figures));
    new ResizeObserver(() => this.draw()).observe(this.plot);
  }

  /** Buckets as the API gives them: {from, to, count}. */
  set(buckets) {
    this.buckets = buckets;
    this.empty.textContent = "no requests yet";
    this.draw();
    const total = buckets.reduce((sum, bucket) => sum + bucket.count, 0);
    this.total.textContent = total ? `${number(total)} requests` : "";
    this.svg.setAttribute("aria-label", `${this.title}: ${buckets.map((bucket) => `${label(bucket)} ${bucket.count}`).join(", ")}`);
    this.figures.replaceChildren(element("table", {}, element("thead", {}, element("tr", {}, ["Bucket", "Requests", "Share"].map((name, at) => element("th", { scope: "col", class: at ? "right" : undefined }, name)))),
      element("tbody", {}, buckets.map((bucket) => element("tr", {}, element("th", { scope: "row" }, label(bucket)), element("td", { class: "right", "data-value": bucket.count }, number(bucket.count)),
        element("td", { class: "right" }, total ? measure(bucket.count / total, "ratio") : "–"))))));
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.plot;
    if (!width || !this.buckets.length) return;
    const em = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const most = Math.max(...this.buckets.map((bucket) => bucket.count));
    const total = this.buckets.reduce((sum, bucket) => sum + bucket.count, 0);
    const { top } = valueAxis(most, "count");
    this.empty.hidden = most > 0;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const bottom = height - em * 1.35, head = em * 1.3, slot = width / this.buckets.length, gap = Math.min(slot * 0.14, em);
    this.svg.replaceChildren(svg("line", { class: "gridline", x1: 0, x2: width, y1: bottom, y2: bottom }), ...this.buckets.flatMap((bucket, at) => {
      const tall = most ? bucket.count / top * (bottom - head) : 0, x = at * slot + gap / 2, middle = x + (slot - gap) / 2;
      return [svg("rect", { class: "bar", x, y: bottom - tall, width: slot - gap, height: tall, rx: 2 }),
        bucket.count > 0 && svg("text", { class: "value-label", x: middle, y: bottom - tall - em * 0.3, "text-anchor": "middle" }, slot > em * 5 ? `${number(bucket.count)} · ${measure(bucket.count / total, "ratio")}` : measure(bucket.count / total, "ratio")),
        svg("text", { x: middle, y: height - em * 0.15, "text-anchor": "middle" }, label(bucket))].filter(Boolean);
    }));
  }
}

const label = ({ from, to }) => to === null ? `over ${from / 1000} s` : `${from / 1000}–${to / 1000} s`;
