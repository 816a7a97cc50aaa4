// Answers for one network in WebAssembly; the interface is that of the page's backend.js.
// MODEL is put before this: {run: {name, task, input, options}, wasm, inputs, outputs, tokens,
// units, facts}. Memory is read anew after each step, as WebAssembly may have moved it.

const PAUSE = 16; // milliseconds of work, after which the page may draw

class WasmBackend {
  async describe() {
    const bytes = Uint8Array.from(atob(MODEL.wasm), (letter) => letter.charCodeAt(0));
    const { instance } = await WebAssembly.instantiate(bytes, {});
    this.code = instance.exports;
    this.code._initialize?.();
    return { runs: [MODEL.run] };
  }

  open() {
    const answer = { language: writer, classify: stepper, regress: stepper }[MODEL.run.task](this);
    const session = { onmessage() {}, onclose() {} };
    let turn = 0;
    session.send = async (message) => {
      const own = ++turn; // a new message ends the work on the one before
      try {
        let rest = performance.now();
        for (const found of answer(message)) {
          session.onmessage(found);
          if (performance.now() - rest < PAUSE) continue;
          await new Promise((ready) => setTimeout(ready));
          rest = performance.now();
          if (own !== turn) return;
        }
        session.onmessage({ type: "done" });
      } catch (error) {
        session.onmessage({ type: "error", message: error.message });
      }
    };
    session.close = () => { turn += 1; };
    return session;
  }

  // One step from numbers, or from tokens: its outputs, none while they wait for later steps.
  step(row) {
    const { code } = this;
    const kind = MODEL.tokens ? Int32Array : Float32Array;
    new kind(code.memory.buffer, code.network_input(), MODEL.inputs).set(row);
    return this.outputs(code.network_run(1));
  }

  // The outputs that waited for the end.
  finish() {
    return this.outputs(this.code.network_finish());
  }

  outputs(count) {
    const { code } = this;
    return Array.from({ length: count }, (_, i) => Array.from(new Float32Array(
      code.memory.buffer, code.network_output() + 4 * i * MODEL.outputs, MODEL.outputs)));
  }

  units(count) {
    const most = Math.min(count, MODEL.units.size);
    const place = this.code.network_state() + 4 * MODEL.units.place;
    return Array.from(new Float32Array(this.code.memory.buffer, place, most));
  }
}

function logSumExp(values) {
  const most = Math.max(...values);
  return most + Math.log(values.reduce((sum, value) => sum + Math.exp(value - most), 0));
}

// Reads a text and writes on.
function writer(backend) {
  const { level, tokens, start, unknown, barred, lower } = MODEL.facts;
  const places = new Map(tokens.map((token, place) => [token, place]));
  const read = (text) => level === "byte" ? [...new TextEncoder().encode(text)]
    : Array.from(lower ? lowered(text) : text, (letter) => places.get(letter) ?? unknown);
  return function* (message) {
    if (message.type !== "text") return;
    backend.code.network_begin();
    const decoder = new TextDecoder();
    const shown = (token) => level === "byte"
      ? decoder.decode(Uint8Array.of(token), { stream: true }) : tokens[token];
    const prompt = read(message.text ?? "");
    let scores = null;
    for (const token of prompt.length ? prompt : [start]) [scores] = backend.step([token]);
    for (let count = message.length ?? 200; count > 0; count -= 1) {
      const token = drawn(scores, message.temperature ?? 1, barred);
      const surprisal = logSumExp(scores) - scores[token];
      [scores] = backend.step([token]);
      const found = { type: "token", text: shown(token), surprisal };
      if (message.state) found.state = backend.units(message.state);
      yield found;
    }
  };
}

// In lower case, with as many letters as before.
function lowered(text) {
  const count = (letters) => Array.from(letters).length;
  const whole = text.toLowerCase();
  if (count(whole) === count(text)) return whole;
  return Array.from(text, (letter) => {
    const low = letter.toLowerCase();
    return count(low) === 1 ? low : letter;
  }).join("");
}

function drawn(scores, temperature, barred) {
  const allowed = scores.map((value, token) => (barred.includes(token) ? -Infinity : value));
  const most = Math.max(...allowed);
  if (temperature === 0) return allowed.indexOf(most);
  const weights = allowed.map((value) => Math.exp((value - most) / temperature));
  let left = Math.random() * weights.reduce((sum, value) => sum + value, 0);
  for (const [token, weight] of weights.entries()) if ((left -= weight) < 0) return token;
  return allowed.indexOf(most);
}

// Answers after every step of a series.
function stepper(backend) {
  const { channels, missing, mean, deviation } = MODEL.facts;
  const answer = MODEL.run.task === "classify" ? classes : values;
  return function* (message) {
    if (message.type !== "values") return;
    backend.code.network_begin();
    let last = channels.map(() => NaN);
    let gaps = channels.map(() => 0);
    for (const row of message.rows) {
      if (row.length !== channels.length)
        throw new Error(`A row has ${row.length} numbers, and the model reads ${channels.length}: ${channels.join(", ")}.`);
      last = row.map((value, i) => (Number.isNaN(value) ? last[i] : value));
      gaps = row.map((value, i) => (Number.isNaN(value) ? gaps[i] + 1 : 0));
      const raw = missing
        ? [...last, ...row.map((value) => (Number.isNaN(value) ? 0 : 1)), ...gaps.map(Math.log1p)]
        : last;
      const ready = raw.map((value, i) => {
        const shown = (value - mean[i]) / deviation[i];
        return Number.isNaN(shown) ? 0 : Math.max(-1e6, Math.min(1e6, shown));
      });
      yield* backend.step(ready).map(answer);
    }
    yield* backend.finish().map(answer);
  };
}

function classes(scores) {
  const { labels, several } = MODEL.run.options;
  const scaled = scores.map((value) => value / MODEL.facts.temperature);
  const total = logSumExp(scaled);
  const probabilities = scaled.map((value) =>
    (several ? 1 / (1 + Math.exp(-value)) : Math.exp(value - total)));
  return { type: "step", label: labels[probabilities.indexOf(Math.max(...probabilities))], probabilities };
}

function values([score]) {
  const { targetMean, targetDeviation, margin } = MODEL.facts;
  const value = score * targetDeviation + targetMean;
  return margin === null ? { type: "value", value }
    : { type: "value", value, low: value - margin, high: value + margin };
}

function makeBackend() {
  return new WasmBackend();
}
