// A series, its forecast with intervals, and a field for the next observation.

import { button, drawing, element, field, hint } from "./dom.js";

const WIDTH = 800;
const HEIGHT = 280;

export function forecastView(session) {
  const chart = element("div", { class: "chart" }, hint("Enter an observation to see the forecast move."));
  const value = element("input", { type: "number", step: "any", required: true });
  const status = element("p", { class: "status", role: "status" });
  const submit = (event) => {
    event.preventDefault();
    session.send({ type: "observe", values: [Number(value.value)] });
    value.value = "";
  };
  session.onmessage = (message) => {
    if (message.type !== "forecast") return;
    chart.replaceChildren(picture(message));
    status.textContent = sentence(message);
  };
  return element("div", { class: "view" }, chart, status,
    element("form", { class: "row", onsubmit: submit }, field("Next observation", value),
      element("button", { class: "main" }, "Add"),
      button("Start again", () => session.send({ type: "reset" }))));
}

function sentence({ median, intervals }) {
  const next = `Next: ${median[0].toPrecision(4)}`;
  if (!intervals.length) return `${next}.`;
  const { level, low, high } = intervals.at(-1);
  return `${next}, ${Math.round(100 * level)} % between ${low[0].toPrecision(4)} and ${high[0].toPrecision(4)}.`;
}

function picture({ history, median, intervals }) {
  const all = [...history, ...median, ...intervals.flatMap(({ low, high }) => [...low, ...high])];
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const y = (value) => HEIGHT - 24 - ((HEIGHT - 40) * (value - least)) / (most - least || 1);
  const x = (i) => 56 + ((WIDTH - 64) * i) / Math.max(history.length + median.length - 1, 1);
  const ahead = (values) => values.map((value, i) => `${x(history.length + i)},${y(value)}`);
  const bands = intervals.map(({ low, high }) => drawing("polygon", { class: "band",
    points: [...ahead(high), ...ahead(low).reverse()].join(" ") }));
  const label = (value) => drawing("text", { x: 4, y: y(value) + 4 }, value.toPrecision(3));
  const past = history.map((value, i) => `${x(i)},${y(value)}`);
  return drawing("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img",
    "aria-label": `${history.length} observations and a forecast of ${median.length} steps` },
    ...bands, label(least), label(most), drawing("polyline", { class: "line history", points: past.join(" ") }),
    drawing("polyline", { class: "line ahead dashed",
      points: [past.at(-1) ?? "", ...ahead(median)].join(" ").trim() }));
}
