// The top bar of every page: project, pages by role, running job, language, colours, account. Leaves out the pages.

const EVERY = { busy: 4000, idle: 15000 };
const here = location.pathname.replace(/^\/app\/?/, "").replace(/\/$/, "");
const THEMES = ["auto", "light", "dark"];
const ICONS = {
  auto: "M8 1.5a6.5 6.5 0 1 0 0 13zm0 0a6.5 6.5 0 0 1 0 13",
  light: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 .8v1.8M8 13.4v1.8M.8 8h1.8M13.4 8h1.8M2.9 2.9l1.3 1.3M11.8 11.8l1.3 1.3M2.9 13.1l1.3-1.3M11.8 4.2l1.3-1.3",
  dark: "M13.5 9.8A6 6 0 0 1 6.2 2.5a6 6 0 1 0 7.3 7.3z",
  menu: "M2 4h12M2 8h12M2 12h12",
};

function h(tag, props = {}, ...children) {
  const element = Object.assign(document.createElement(tag), props);
  element.append(...children.filter((child) => child !== null));
  return element;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

const cookie = (name) => document.cookie.match(`(?:^|; )${name}=(\\w+)`)?.[1];

function choose(name, value) {
  document.cookie = `${name}=${value}; path=/; max-age=31536000; samesite=lax`;
  location.reload();
}

async function get(address) {
  const answer = await fetch(address);
  if (answer.status === 401) location.assign("/login");
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer.json();
}

function projects(state, say) {
  const select = h("select", { id: "bar-project", ariaLabel: say("project") });
  for (const { id, name } of state.projects) select.append(h("option", { value: id, textContent: name, selected: id === state.project }));
  if (!state.projects.length) select.append(h("option", { textContent: say("project.none"), disabled: true, selected: true }));
  if (state.role === "annotator") return select;
  select.append(h("option", { value: "new", textContent: say("project.new") }));
  return select;
}

function newProject(say) {
  const name = h("input", { name: "name", required: true, maxLength: 80, ariaLabel: say("project.name"), placeholder: say("project.name") });
  const said = h("p", { className: "said", role: "alert" });
  const cancel = h("button", { type: "button", textContent: say("cancel"), onclick: () => dialog.close() });
  const form = h("form", {}, h("h2", { textContent: say("project.new") }), name, said, h("div", {}, cancel, h("button", { className: "primary", textContent: say("project.create") })));
  const dialog = h("dialog", { id: "bar-new" }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await fetch("/api/do/project_create", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ name: name.value }) });
    const made = await answer.json();
    if (answer.ok) choose("project", made.id);
    else said.textContent = made.error;
  });
  return dialog;
}

function pages(state, say) {
  const links = state.pages.filter(({ name }) => name !== "home").map(({ name, route }) => {
    const link = h("a", { href: `/app/${route}`, textContent: say(name) });
    if (route === here) link.ariaCurrent = "page";
    return link;
  });
  return h("nav", { ariaLabel: say("pages") }, ...links);
}

function time(seconds, say) {
  if (seconds < 90) return say("seconds", { n: Math.round(seconds) });
  if (seconds < 5400) return say("minutes", { n: Math.round(seconds / 60) });
  return say("hours", { n: Math.round(seconds / 3600) });
}

function fillJob(pill, jobs, say) {
  const job = jobs.find(({ state }) => state === "running") ?? jobs[0];
  pill.hidden = !job;
  if (!job) return;
  const done = job.steps ? Math.floor((100 * job.step) / job.steps) : 0;
  const parts = [say(`job.${job.state}`, { method: job.method.toUpperCase(), percent: done })];
  if (job.state === "running" && job.eta_s > 0) parts.push(say("job.left", { time: time(job.eta_s, say) }));
  if (jobs.length > 1) parts.push(say("job.more", { count: jobs.length - 1 }));
  pill.textContent = parts.join(" · ");
  pill.style.setProperty("--done", `${done}%`);
  pill.href = `/app/train?run=${job.run}`;
  pill.ariaLabel = `${pill.textContent}: ${say("job.open", { run: job.run })}`;
}

function account(state, say) {
  const out = h("form", { method: "post", action: "/logout" }, h("button", { textContent: say("sign_out"), id: "bar-out" }));
  const menu = h("div", {}, h("p", { textContent: `${state.user} · ${say(`role.${state.role}`)}` }), h("a", { href: "/password", textContent: say("password") }), h("a", { href: "/tokens", textContent: say("tokens") }), out);
  const summary = h("summary", { ariaLabel: say("user", { name: state.user }), textContent: [...state.user][0].toUpperCase() });
  return h("details", { id: "bar-user", className: "user" }, summary, menu);
}

function colours(say) {
  const now = THEMES.includes(cookie("theme")) ? cookie("theme") : "auto";
  const label = say("theme", { theme: say(`theme.${now}`) });
  const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
  return h("button", { id: "bar-theme", type: "button", title: label, ariaLabel: label, onclick: () => choose("theme", next) }, icon(now));
}

function language(state, say) {
  const other = state.lang === "en" ? "zh" : "en";
  return h("button", { id: "bar-lang", type: "button", lang: other, title: say("language"), textContent: say("language.other"), onclick: () => choose("lang", other) });
}

function draw(bar, state, say) {
  const dialog = newProject(say);
  const select = projects(state, say);
  select.addEventListener("change", () => {
    if (select.value !== "new") return choose("project", select.value);
    select.value = state.project ?? select.options[0].value;
    dialog.showModal();
  });
  const brand = h("a", { className: "brand", href: "/app", ariaLabel: say("product") }, h("img", { src: "/assets/public/icon.svg", alt: "", width: 28, height: 28 }));
  const pill = h("a", { id: "bar-job", hidden: true });
  const menu = h("button", { id: "bar-menu", type: "button", ariaLabel: say("menu"), ariaExpanded: "false" }, icon("menu"));
  menu.addEventListener("click", () => {
    menu.ariaExpanded = String(bar.classList.toggle("open"));
  });
  const rest = h("div", { className: "rest" }, pages(state, say), pill, h("div", { className: "tools" }, language(state, say), colours(say), account(state, say)));
  bar.replaceChildren(h("a", { className: "skip", href: "#content", textContent: say("skip") }), brand, select, menu, rest, dialog);
  return pill;
}

function closeMenus(bar) {
  document.addEventListener("click", (event) => {
    for (const open of bar.querySelectorAll("details[open]")) if (!open.contains(event.target)) open.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const open of bar.querySelectorAll("details[open]")) open.open = false;
  });
}

async function start() {
  const bar = h("header", { id: "bar" });
  document.body.prepend(bar);
  const content = document.querySelector("gradio-app");
  if (content) Object.assign(content, { id: "content", tabIndex: -1 });
  let state = await get("/api/shell");
  const texts = await get(`/assets/i18n/${state.lang}.json`);
  const say = (key, values = {}) => texts[`shell.${key}`].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const pill = draw(bar, state, say);
  closeMenus(bar);
  const title = [say(state.pages.find(({ route }) => route === here)?.name ?? "home"), state.projects.find(({ id }) => id === state.project)?.name, say("product")];
  const name = () => { document.title = title.filter(Boolean).join(" · "); };
  name();
  new MutationObserver(() => { if (document.title !== title.filter(Boolean).join(" · ")) name(); }).observe(document.head, { childList: true, subtree: true, characterData: true });
  for (;;) {
    fillJob(pill, state.jobs, say);
    await new Promise((done) => setTimeout(done, state.jobs.length ? EVERY.busy : EVERY.idle));
    if (document.hidden) continue;
    const { server } = state;
    state = await get("/api/shell").catch(() => state);
    if (state.server !== server) location.reload();
  }
}

start();
