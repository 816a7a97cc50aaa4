// A backend of the served page that answers every task with fixed numbers.
const RUNS = [["language", "text"], ["transcribe", "ink"], ["forecast", "numbers"],
  ["tag", "text"], ["classify", "numbers"], ["regress", "numbers"], ["translate", "text"],
  ["transcribe", "sound"]]
  .map(([task, input]) => ({ name: `${task}-${input}`, task, input, options: { labels: ["cat", "dog"] } }));
const seen = [];
function makeBackend() {
  return {
    describe: async () => ({ runs: RUNS }),
    open(run) {
      const session = { onmessage() {}, onclose() {}, close() {} };
      const say = (message) => setTimeout(() => session.onmessage(message));
      session.send = (message) => { seen.push(message); answer(run, message, say); };
      window.lose = () => session.onclose("The server stopped.");
      return session;
    },
  };
}
window.seen = seen;
function answer(run, message, say) {
  if (message.type === "reset") return;
  if (message.text === "bad") return say({ type: "error", message: "The text has an unknown word." });
  if (run.task === "language") {
    [..."the quick brown fox"].forEach((text, i) => say({ type: "token", text, surprisal: i % 7,
      state: Array.from({ length: 64 }, (_, unit) => Math.sin(unit * i)) }));
    say({ type: "done" });
  }
  if (run.task === "transcribe") say({ type: "transcript", settled: "hello ", partial: "wor" });
  if (run.task === "forecast") {
    const history = Array.from({ length: 40 }, (_, i) => Math.sin(i / 4) + message.values[0] * (i === 39));
    const ahead = (by) => Array.from({ length: 12 }, (_, i) => Math.sin(10 + i / 4) + by * (1 + i) / 12);
    say({ type: "forecast", history, median: ahead(0), intervals: [
      { level: 0.5, low: ahead(-0.4), high: ahead(0.4) }, { level: 0.9, low: ahead(-1), high: ahead(1) }] });
  }
  if (run.task === "tag") {
    const words = message.text.split(" ");
    say({ type: "tags", words, tags: words.map((word) => (/^[A-Z]/.test(word) ? "NAME" : "OTHER")) });
  }
  if (run.task === "classify")
    message.rows.forEach(([x]) => say({ type: "step", label: "cat", probabilities: [x, 1 - x] }));
  if (run.task === "regress") say({ type: "value", value: 3.25, low: 3, high: 3.5 });
  if (run.task === "translate")
    say({ type: "translation", source: message.text.split(" "), output: ["ein", "Haus"],
      text: "ein Haus", notes: ["One token is unknown to the model."],
      attention: [[0.9, 0.1], [0.2, 0.8]] });
}
