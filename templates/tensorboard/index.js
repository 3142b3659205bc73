// The tab: a line on how things stand, and the report below it, in TensorBoard's own light or dark.
const ASK_EVERY = 3000; // milliseconds

const STYLE = `
:root { color-scheme: light; --bg: #f4f5f8; --ink: #18202c; --muted: #545f70; --line: #d9dee7; --fault: #b3261e; }
:root[data-theme="dark"] { color-scheme: dark; --bg: #10141b; --ink: #e5e9f0; --muted: #a2adbd; --line: #2e3846; --fault: #ffa8a0; }
html, body { margin: 0; height: 100%; background: var(--bg); color: var(--ink); }
body { display: flex; flex-direction: column; font: 14px/1.45 Roboto, system-ui, -apple-system, "Segoe UI", sans-serif; }
#line { display: flex; gap: 16px; padding: 6px 24px; border-bottom: 1px solid var(--line); color: var(--muted); font-size: 13px; }
#line .fault { color: var(--fault); font-weight: 600; }
#line .spacer { flex: 1; }
#message { margin: 15vh auto; max-width: 36em; padding: 0 24px; text-align: center; }
#message h1 { font-size: 20px; font-weight: 600; margin: 0 0 8px; }
#message p { margin: 0; color: var(--muted); overflow-wrap: anywhere; white-space: pre-line; }
iframe { flex: 1; width: 100%; border: 0; background: var(--bg); }
[hidden] { display: none !important; }
`;

function made(tag, attributes, text) {
  const element = document.createElement(tag);
  Object.entries(attributes || {}).forEach(([name, value]) => element.setAttribute(name, value));
  if (text !== undefined) element.textContent = text; // never as markup
  return element;
}

function beside(name) {
  return new URL(name, import.meta.url).href; // wherever TensorBoard is mounted
}

function outer() {
  try { return window.parent.document.body; } catch (error) { return null; } // shown by itself or from elsewhere
}

function theme() {
  const body = outer();
  if (body && body !== document.body) return body.classList.contains("dark-mode") ? "dark" : "light";
  return window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

export function render() {
  document.documentElement.lang = "en";
  document.head.append(made("style", {}, STYLE));
  const line = made("div", { id: "line", role: "status", "aria-live": "polite" });
  const message = made("div", { id: "message" });
  const frame = made("iframe", { title: "LR Doctor report", hidden: "" });
  document.body.append(line, message, frame);
  let shown = null; // version of the report in the frame
  let scroll = 0;

  function dress() {
    const wanted = theme();
    document.documentElement.setAttribute("data-theme", wanted);
    try { localStorage.setItem("lrdoctor-theme", wanted); } catch (error) { /* the page is dressed below */ }
    const page = frame.contentDocument;
    if (!page || !page.documentElement) return;
    page.documentElement.setAttribute("data-embedded", "");
    if (page.documentElement.getAttribute("data-theme") === wanted) return;
    page.documentElement.setAttribute("data-theme", wanted);
    page.dispatchEvent(new CustomEvent("lrdoctor:theme"));
  }

  function say(title, text) {
    message.replaceChildren(made("h1", {}, title), made("p", {}, text));
    message.hidden = false;
    frame.hidden = true;
    line.hidden = true;
  }

  function report(status) {
    message.hidden = true;
    line.hidden = false;
    const runs = [made("span", {}, counted(status.runs, "run"))];
    if (status.faulty) runs.push(made("span", { class: "fault" }, `${status.faulty.toLocaleString("en")} faulty`));
    if (status.growing) runs.push(made("span", {}, `${status.growing.toLocaleString("en")} growing`));
    line.replaceChildren(...runs, made("span", { class: "spacer" }), made("span", {}, "kept up to date"));
    if (shown === status.version) return;
    if (shown === null) {
      frame.src = beside("report/index.html");
    } else {
      scroll = frame.contentWindow.scrollY;
      frame.contentWindow.location.reload();
    }
    shown = status.version;
    frame.hidden = false;
  }

  frame.addEventListener("load", () => {
    dress();
    if (scroll) frame.contentWindow.scrollTo(0, scroll);
    scroll = 0;
  });

  function show(status) {
    if (status.state === "ready") report(status);
    else if (status.state === "reading") say("Reading the log folder", "Each run is read once; after that only what is appended.");
    else if (status.state === "empty") say("No training run yet", "As soon as the log folder holds one, it is shown here.");
    else say("The log folder could not be audited", status.message);
  }

  async function ask() {
    try {
      if (!document.hidden) show(await (await fetch(beside("status.json"))).json());
    } catch (error) {
      if (shown === null) say("TensorBoard does not answer", String(error));
    }
    setTimeout(ask, ASK_EVERY);
  }

  dress();
  const body = outer();
  if (body) new MutationObserver(dress).observe(body, { attributes: true, attributeFilter: ["class"] });
  say("Reading the log folder", "");
  ask();
}
