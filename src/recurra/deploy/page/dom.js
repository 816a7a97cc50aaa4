// Builds elements; texts always go in as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") node.toggleAttribute(name, value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function drawing(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

export function field(label, control) {
  return element("label", { class: "field" }, element("span", {}, label), control);
}

export function button(label, onclick, kind = "") {
  return element("button", { type: "button", class: kind, onclick }, label);
}

export function hint(text) {
  return element("p", { class: "hint" }, text);
}

export function percent(value) {
  return `${(100 * value).toFixed(1)} %`;
}
