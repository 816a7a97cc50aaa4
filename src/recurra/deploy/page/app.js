// Shows the run that the menu names in the view of its task.

import { classifyView, regressView, tagView, transcribeView, translateView } from "./answers.js";
import { makeBackend } from "./backend.js";
import { button, element, hint } from "./dom.js";
import { forecastView } from "./forecast.js";
import { languageView } from "./language.js";

const VIEWS = { language: languageView, transcribe: transcribeView, forecast: forecastView,
  tag: tagView, classify: classifyView, regress: regressView, translate: translateView };

const page = document.querySelector("main");
const notice = document.querySelector("#notice");
const backend = makeBackend();
let session = null;

function tell(text, again) {
  notice.replaceChildren(text);
  if (again) notice.append(" ", button("Reconnect", again));
  notice.hidden = !text;
}

function show(run) {
  session?.close();
  tell("");
  session = backend.open(run);
  session.onclose = (reason) => tell(reason, () => show(run));
  const view = VIEWS[run.task](session, run);
  const answer = session.onmessage;
  session.onmessage = (message) => {
    tell(message.type === "error" ? message.message : "");
    answer(message);
  };
  document.querySelector("#task").textContent = run.task;
  page.replaceChildren(view);
}

async function start() {
  try {
    const { runs } = await backend.describe();
    if (!runs.length) return page.replaceChildren(hint("No run is served."));
    const menu = element("select", { "aria-label": "Run",
      onchange: () => show(runs[menu.selectedIndex]) },
      ...runs.map(({ name }) => element("option", {}, name)));
    document.querySelector("#runs").replaceChildren(runs.length > 1 ? menu : runs[0].name);
    show(runs[0]);
  } catch (error) {
    tell(`The model can’t be reached. ${error.message}`, start);
  }
}

start();
