// What a user gives: text, rows of numbers, a pen's strokes, or sound. Each calls `send`.

import { button, element, field, hint } from "./dom.js";

export function inputFor(kind, send) {
  return { text: textInput, numbers: numbersInput, ink: inkInput, sound: soundInput }[kind](send);
}

export function textInput(send) {
  const area = element("textarea", { rows: 3 });
  const submit = (event) => {
    event.preventDefault();
    if (area.value.trim()) send({ type: "text", text: area.value });
  };
  return element("form", { onsubmit: submit }, field("Text", area),
    element("button", { class: "main" }, "Run"));
}

export function numbersInput(send) {
  const area = element("textarea", { rows: 5, placeholder: "0.1, 0.5\n0.2, 0.4" });
  const wrong = element("p", { class: "error", role: "alert" });
  const submit = (event) => {
    event.preventDefault();
    const rows = parsedRows(area.value);
    wrong.textContent = rows.error ?? "";
    if (!rows.error) send({ type: "values", rows: rows.rows });
  };
  return element("form", { onsubmit: submit },
    field("Rows of numbers, one step a line, separated by commas", area), wrong,
    element("button", { class: "main" }, "Run"));
}

export function parsedRows(text) {
  const rows = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (!line.trim()) continue;
    const row = line.split(/[,;\t ]+/).filter(Boolean).map(Number);
    if (!row.every(Number.isFinite)) return { error: `Line ${index + 1}, “${line.trim()}”, isn’t a row of numbers.` };
    if (rows.length && row.length !== rows[0].length)
      return { error: `Line ${index + 1} has ${row.length} numbers, the first has ${rows[0].length}.` };
    rows.push(row);
  }
  return rows.length ? { rows } : { error: "Paste at least one row of numbers." };
}

export function inkInput(send) {
  const canvas = element("canvas", { width: 800, height: 260, role: "img",
    "aria-label": "Writing area for mouse, pen or touch. Points can be pasted below instead." });
  const pasted = element("textarea", { rows: 3, placeholder: "10, 20, 1\n12, 24, 0" });
  const wrong = element("p", { class: "error", role: "alert" });
  let strokes = [];
  let current = null;

  const place = ({ clientX, clientY }) => {
    const box = canvas.getBoundingClientRect();
    const scale = canvas.width / box.width;
    return [(clientX - box.left) * scale, (clientY - box.top) * scale];
  };
  const points = (stroke) => stroke.map(([x, y], i) => [x, y, i === stroke.length - 1 ? 0 : 1]);
  const draw = () => {
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, canvas.width, canvas.height);
    Object.assign(pen, { lineWidth: 4, lineCap: "round", lineJoin: "round",
                         strokeStyle: getComputedStyle(canvas).color });
    for (const stroke of strokes) {
      pen.beginPath();
      stroke.forEach(([x, y]) => pen.lineTo(x, y));
      pen.stroke();
    }
  };
  const again = () => {
    draw();
    send({ type: "reset" });
    if (strokes.length) send({ type: "points", points: strokes.flatMap(points) });
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    strokes.push((current = [place(event)]));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!current) return;
    current.push(place(event));
    draw();
  });
  const lift = () => {
    if (current) send({ type: "points", points: points(current) });
    current = null;
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  const paste = () => {
    const { rows, error } = parsedRows(pasted.value);
    wrong.textContent = error ?? (rows[0].length === 3 ? "" : "A point is x, y, pen (1 down, 0 at a stroke’s end).");
    if (!wrong.textContent) send({ type: "points", points: rows });
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  return element("div", {}, hint("Write with a mouse, a pen or a finger."), canvas,
    element("div", { class: "row" }, button("Undo stroke", () => (strokes.pop(), again())),
      button("Clear", () => ((strokes = []), again())),
      button("Finish", () => send({ type: "finish" }), "main")),
    element("details", {}, element("summary", {}, "Paste points instead"),
      field("Points, one a line: x, y, pen", pasted), wrong, button("Send points", paste)));
}

export function soundInput(send) {
  const file = element("input", { type: "file", accept: "audio/*" });
  const level = element("meter", { min: 0, max: 1, value: 0, "aria-label": "Sound level" });
  const status = element("p", { class: "status", role: "status" }, "Choose a file, drop one here, or speak.");
  let listening = null;

  const say = (text) => (status.textContent = text);
  const pass = (samples, rate) => {
    level.value = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    send({ type: "sound", rate, samples: Array.from(samples) });
  };
  const readFile = async (chosen) => {
    const context = new AudioContext();
    try {
      const sound = await context.decodeAudioData(await chosen.arrayBuffer());
      const samples = sound.getChannelData(0);
      send({ type: "reset" });
      const chunk = Math.ceil(sound.sampleRate / 4);
      for (let start = 0; start < samples.length; start += chunk)
        pass(samples.subarray(start, start + chunk), sound.sampleRate);
      send({ type: "finish" });
      say(`${chosen.name}: ${sound.duration.toFixed(1)} s`);
    } catch {
      say(`${chosen.name} isn’t a sound file that this browser can read. Choose a WAV, FLAC, MP3 or OGG file.`);
    } finally {
      context.close();
    }
  };
  const speak = button("Speak", async () => {
    if (listening) {
      listening();
      return;
    }
    try {
      listening = await microphone(pass);
      send({ type: "reset" });
      speak.textContent = "Stop";
      say("Listening");
      const end = listening;
      listening = () => {
        end();
        listening = null;
        speak.textContent = "Speak";
        say("Finished listening.");
        send({ type: "finish" });
      };
    } catch (error) {
      say(`The microphone can’t be used (${error.message}). Allow it in the browser, or choose a file.`);
    }
  }, "main");
  file.addEventListener("change", () => file.files[0] && readFile(file.files[0]));
  return element("div", { class: "drop", ondragover: (event) => event.preventDefault(),
    ondrop: (event) => {
      event.preventDefault();
      if (event.dataTransfer.files[0]) readFile(event.dataTransfer.files[0]);
    } },
    element("div", { class: "row" }, field("Sound file", file), speak), level, status);
}

async function microphone(pass) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const context = new AudioContext();
  const source = context.createMediaStreamSource(stream);
  const tap = context.createScriptProcessor(4096, 1, 1);
  tap.onaudioprocess = ({ inputBuffer }) => pass(inputBuffer.getChannelData(0), context.sampleRate);
  source.connect(tap).connect(context.destination);
  return () => {
    tap.disconnect();
    stream.getTracks().forEach((track) => track.stop());
    context.close();
  };
}
