// Text that continues, coloured by surprisal, beside the hidden state that predicts it.

import { button, element, field, hint } from "./dom.js";

const MOST = 8; // nats: surprisals from here on have the deepest colour

export function languageView(session) {
  const prompt = element("textarea", { rows: 3, placeholder: "Once upon a time" });
  const temperature = element("input", { type: "number", min: 0, max: 2, step: 0.1, value: 0.8 });
  const length = element("input", { type: "number", min: 1, max: 2000, value: 200 });
  const text = element("div", { class: "stream" }, hint("Type a beginning and press Continue."));
  const units = element("div", { class: "units", role: "img", "aria-label": "Hidden state" });
  const shown = element("output", { class: "reading", "aria-live": "off" });
  const status = element("p", { class: "status", role: "status" });
  const spoken = element("p", { class: "spoken", role: "status" });
  const stop = button("Stop", () => session.send({ type: "stop" }));
  stop.disabled = true;

  const read = ({ target }) => (shown.textContent = target.dataset?.reading ?? "");
  text.addEventListener("pointerover", read);
  text.addEventListener("focusin", read);
  text.addEventListener("keydown", (event) => walk(event));

  function start(event) {
    event.preventDefault();
    text.replaceChildren();
    stop.disabled = false;
    status.textContent = "Writing";
    session.send({ type: "text", text: prompt.value, temperature: Number(temperature.value),
                   length: Number(length.value), state: 256 });
  }

  function add({ text: piece, surprisal, state }) {
    const share = Math.min(surprisal / MOST, 1);
    const bits = (surprisal / Math.LN2).toFixed(2);
    const reading = `“${piece}”: ${surprisal.toFixed(2)} nats, ${bits} bits`;
    text.append(element("span", { class: "token", tabindex: text.childElementCount ? -1 : 0,
      style: `--share:${share.toFixed(3)}`, title: reading, "data-reading": reading }, piece));
    if (state) light(units, state);
  }

  session.onmessage = (message) => {
    if (message.type === "token") add(message);
    if (message.type === "token") return;
    stop.disabled = true;
    status.textContent = message.type === "done" ? `Done: ${text.childElementCount} tokens.` : "";
    spoken.textContent = text.textContent;
  };

  return element("form", { class: "view", onsubmit: start },
    field("Beginning of the text", prompt),
    element("div", { class: "row" }, field("Temperature", temperature),
      field("Length", length), element("button", { class: "main" }, "Continue"), stop),
    status, spoken,
    element("section", { "aria-label": "Continuation" }, text, shown, legend(
      "surprisal", "0 nats (0 bits)", `${MOST} nats (${(MOST / Math.LN2).toFixed(1)} bits)+`)),
    element("section", { "aria-label": "Hidden state" }, element("h2", {}, "Hidden state"), units,
      legend("signed", "−1", "+1")));
}

function walk(event) {
  const step = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[event.key];
  const next = step && event.target[step];
  if (!next) return;
  event.preventDefault();
  event.target.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

function light(units, state) {
  while (units.childElementCount < state.length) units.append(element("i"));
  while (units.childElementCount > state.length) units.lastChild.remove();
  state.forEach((value, unit) => {
    const cell = units.children[unit];
    cell.style.setProperty("--share", Math.min(Math.abs(value), 1).toFixed(3));
    cell.classList.toggle("negative", value < 0);
  });
  const active = state.filter((value) => Math.abs(value) > 0.5).length;
  units.setAttribute("aria-label", `Hidden state: ${active} of ${state.length} units beyond ±0.5`);
}

function legend(kind, low, high) {
  return element("p", { class: "legend" }, low, element("i", { class: kind }), high);
}
