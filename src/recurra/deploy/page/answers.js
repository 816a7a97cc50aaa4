// The views of the tasks that answer an input: transcribe, tag, classify, regress, translate.

import { drawing, element, hint, percent } from "./dom.js";
import { inputFor, textInput } from "./inputs.js";

function answered(input, answer, live = "polite") {
  return element("div", { class: "view" }, input,
    element("section", { "aria-label": "Answer", "aria-live": live }, answer));
}

export function transcribeView(session, run) {
  const text = element("p", { class: "transcript" }, hint("The text appears here."));
  session.onmessage = ({ type, settled, partial }) => {
    if (type !== "transcript") return;
    text.replaceChildren(settled, element("em", { title: "May still change" }, partial));
  };
  return answered(inputFor(run.input, session.send), text);
}

export function tagView(session) {
  const words = element("p", { class: "tagged" }, hint("Type a sentence to see the tag of every word."));
  session.onmessage = (message) => {
    if (message.type !== "tags") return;
    const names = [...new Set(message.tags)].sort();
    words.replaceChildren(...message.words.map((word, i) =>
      element("span", { class: `word colour${names.indexOf(message.tags[i]) % 6}` },
        word, element("small", {}, message.tags[i]))));
  };
  return answered(textInput(session.send), words);
}

export function classifyView(session, run) {
  const bars = element("div", {}, hint("The probability of every class appears here, step by step."));
  let steps = [];
  session.onmessage = (message) => {
    if (message.type !== "step") return;
    steps.push(message.probabilities);
    bars.replaceChildren(...bar(message.probabilities, run.options.labels), curve(steps, run.options.labels));
  };
  const send = (message) => {
    if (message.type !== "sound" && message.type !== "points") steps = [];
    session.send(message);
  };
  return answered(inputFor(run.input, send), bars, "off");
}

function bar(probabilities, labels) {
  return probabilities.map((value, i) => element("div", { class: "bar" },
    element("span", {}, labels[i]), element("i", { style: `--share:${value}`, class: `fill colour${i % 6}` }),
    element("b", {}, percent(value))));
}

function curve(steps, labels) {
  const x = (i) => (steps.length > 1 ? (600 * i) / (steps.length - 1) : 0);
  const lines = steps[0].map((_, k) => drawing("polyline", { class: `line colour${k % 6}`,
    points: steps.map((row, i) => `${x(i)},${150 - 140 * row[k]}`).join(" ") }));
  const names = steps.at(-1).map((value, k) => drawing("text", { x: 596, y: 145 - 125 * value,
    "text-anchor": "end" }, labels[k]));
  return drawing("svg", { viewBox: "0 0 600 160", role: "img",
    "aria-label": `Probabilities over ${steps.length} steps` }, ...lines, ...names);
}

export function regressView(session, run) {
  const value = element("p", { class: "figure" }, hint("The predicted number appears here."));
  session.onmessage = (message) => {
    if (message.type !== "value") return;
    const number = (x) => Number(x.toPrecision(5)).toString();
    value.replaceChildren(element("b", {}, number(message.value)));
    if (message.low !== undefined)
      value.append(` between ${number(message.low)} and ${number(message.high)}`);
  };
  return answered(inputFor(run.input, session.send), value);
}

export function translateView(session) {
  const output = element("p", { class: "transcript" }, hint("The translation appears here."));
  const notes = element("p", { class: "hint" });
  const picture = element("div", { class: "attention" });
  session.onmessage = (message) => {
    if (message.type !== "translation") return;
    output.replaceChildren(message.text);
    notes.replaceChildren(...(message.notes ?? []));
    if (message.attention) picture.replaceChildren(attention(message));
  };
  return element("div", { class: "view" }, textInput(session.send),
    element("section", { "aria-label": "Translation", "aria-live": "polite" }, output, notes), picture);
}

function attention({ source, output, attention: weights }) {
  return element("table", {}, element("caption", {}, "Attention: output words down, source words across"),
    element("tr", {}, element("td"), ...source.map((word) => element("th", { scope: "col" }, word))),
    ...output.map((word, i) => element("tr", {}, element("th", { scope: "row" }, word),
      ...source.map((_, j) => element("td", { style: `--share:${weights[i][j]}`,
        title: `${word} ← ${source[j]}: ${percent(weights[i][j])}` }, weights[i][j].toFixed(2))))));
}
