// Builds elements. Text always goes in as text, never as markup: names and reasons come from clients and strategies.

const SVG = "http://www.w3.org/2000/svg";

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") node.setAttribute("class", value);
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

export const element = (tag, attributes = {}, ...children) => build(document.createElement(tag), attributes, children);

export const svg = (tag, attributes = {}, ...children) => build(document.createElementNS(SVG, tag), attributes, children);

export const byId = (id) => document.getElementById(id);

/** A table in a panel. A column is {name, cell(row), right, wide, head}; `head` makes the cell the row's heading. */
export function table(caption, columns, rows, empty) {
  if (!rows.length) return element("div", { class: "panel" }, element("h3", {}, caption), element("p", { class: "quiet" }, empty));
  const style = (column) => [column.right && "right", column.wide && "wide"].filter(Boolean).join(" ") || undefined;
  return element("div", { class: "panel", tabindex: "0", role: "region", "aria-label": caption }, element("table", { class: "stack" },
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, columns.map((column) => element("th", { scope: "col", class: style(column) }, column.name)))),
    element("tbody", {}, rows.map((row) => element("tr", {}, columns.map((column) => column.head
      ? element("th", { scope: "row", class: style(column) }, column.cell(row))
      : element("td", { class: style(column), "data-label": column.name }, column.cell(row))))))));
}

export const pill = (text, kind = "") => element("span", { class: `pill ${kind}` }, text);
