// A backend answers for the runs that a page shows. Two exist: WebSocketBackend below, and the
// WebAssembly one of an exported page, which defines `makeBackend()` itself.
//
//   await backend.describe()  ->  {runs: [{name, task, input, options}]}
//       task: language transcribe forecast tag classify regress translate
//       input: text numbers ink sound
//   backend.open(run)  ->  session {send(message), close(), onmessage, onclose}
//       onmessage(message) receives objects; onclose(reason) says in words why a session ended.
//
// Messages are the same JSON objects in both, each with a `type`:
//   to the model    text {text, temperature, length} | stop | points {points: [[x, y, pen]]} |
//                   sound {rate, samples} | values {rows} | observe {values} | reset | finish
//   from the model  token {text, surprisal, state} | done | transcript {settled, partial} |
//                   forecast {history, median, intervals: [{level, low, high}]} |
//                   tags {words, tags} | step {label, probabilities} |
//                   value {value, low, high} | translation {text, source, output, attention, notes} |
//                   error {message}
// Surprisal is in nats; attention has a row for every output word, a column for every source word.

class WebSocketBackend {
  async describe() {
    const answer = await fetch("runs");
    if (!answer.ok) throw new Error(`The server answered ${answer.status} ${answer.statusText}.`);
    return answer.json();
  }

  open(run) {
    const address = new URL(`stream/${encodeURIComponent(run.name)}`, document.baseURI);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    const waiting = [];
    const session = { onmessage() {}, onclose() {} };
    let closed = false;
    session.send = (message) => {
      if (socket.readyState === WebSocket.CONNECTING) waiting.push(message);
      else if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
    };
    session.close = () => {
      closed = true;
      socket.close();
    };
    socket.onopen = () => waiting.splice(0).forEach(session.send);
    socket.onmessage = (event) => session.onmessage(JSON.parse(event.data));
    socket.onclose = (event) => {
      if (!closed) session.onclose(event.reason || "The connection to the server was lost.");
    };
    return session;
  }
}

export function makeBackend() {
  return new WebSocketBackend();
}
