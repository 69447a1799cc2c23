// Live updates and single keys. The server makes every page; this only fetches it again and puts its live part in place.
"use strict";
(() => {
  const KINDS = ["AlarmNotification", "AlarmClearedNotification", "AlarmListRebuiltNotification"];
  const PAUSE_MS = 1000; // between two fetches in a storm
  const FRESHEN_MS = 30000; // durations grow
  const AGAIN_MS = 5000; // after the stream was refused
  const byId = (id) => document.getElementById(id);
  const state = byId("state"), news = byId("news");
  const here = () => location.origin + location.pathname + location.search; // without a password that the address may hold

  function tell(word, text) {
    if (state.dataset.is === word) return;
    state.dataset.is = word;
    const reload = byId("reload");
    state.replaceChildren(text + " ", ...(word === "live" ? [] : [reload ?? again]));
  }
  const again = byId("reload");

  function alarms() {
    return new Map([...document.querySelectorAll("tr[data-alarm]")].map((row) => [row.dataset.alarm, row]));
  }

  // Put the live part of a fetched page in place; focus stays on what it was on, or goes to the row that took its place.
  function show(text) {
    const page = new DOMParser().parseFromString(text, "text/html");
    const old = byId("live"), made = page.getElementById("live");
    if (!made) throw new Error(page.getElementById("problem")?.innerText ?? "no page");
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const place = rows().indexOf(focused?.closest("tr"));
    const before = alarms();
    old.replaceWith(made);
    document.title = page.title;
    if (focused) (byId(focused.id) ?? made.querySelector(`form.act[action="${focused.form?.getAttribute("action")}"] button`)
      ?? opener(rows()[Math.min(place, rows().length - 1)]) ?? byId("main")).focus({ preventScroll: true });
    const fresh = [...alarms()].filter(([id]) => !before.has(id)).map(([, row]) => row);
    for (const row of fresh) row.classList.add("fresh");
    return fresh;
  }

  function announce(fresh) {
    if (fresh.length) news.textContent = fresh.length === 1 ? `New alarm: ${fresh[0].dataset.said}` : `${fresh.length} new alarms`;
  }

  let due = false, busy = false;
  async function refresh() {
    due = true;
    if (busy) return;
    busy = true;
    while (due) {
      due = false;
      try {
        const answer = await fetch(here(), { headers: { Accept: "text/html" } });
        if (answer.ok) announce(show(await answer.text()));
      } catch { /* the state says that the service is away */ }
      await new Promise((done) => setTimeout(done, PAUSE_MS));
    }
    busy = false;
  }

  function follow(path) {
    const stream = new EventSource(location.origin + path);
    stream.onopen = () => { tell("live", "Live"); refresh(); };
    stream.onerror = () => {
      tell("away", `Disconnected since ${new Date().toISOString().slice(11, 19)}`);
      if (stream.readyState === EventSource.CLOSED) setTimeout(() => follow(path), AGAIN_MS);
    };
    for (const kind of KINDS) stream.addEventListener(kind, refresh);
    addEventListener("pagehide", () => stream.close());
  }

  // A button acts without leaving the page.
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.matches(".filters")) {
      for (const each of form.elements) if (each.name && !each.value) each.disabled = true;
      return;
    }
    if (!form.matches("#live form.act")) return;
    event.preventDefault();
    const body = new URLSearchParams(new FormData(form, event.submitter));
    event.submitter.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.getAttribute("action"), { method: "POST", body });
      show(await answer.text());
      news.textContent = byId("live").querySelector(".done")?.textContent ?? "";
    } catch (error) {
      news.textContent = error.message;
      event.submitter.removeAttribute("aria-busy");
      failed(error.message);
    }
  });

  function failed(text) {
    const said = document.createElement("p");
    said.className = "done failed";
    said.setAttribute("role", "alert");
    said.textContent = text;
    byId("live").querySelector(".done")?.remove();
    byId("live").prepend(said);
  }

  const rows = () => [...document.querySelectorAll("tr[data-alarm]")];
  const opener = (row) => row?.querySelector("a.open");

  function step(by) {
    const all = rows(), now = all.indexOf(document.activeElement.closest("tr"));
    const next = opener(all[now < 0 ? (by > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, now + by))]);
    next?.focus();
    next?.closest("tr").scrollIntoView({ block: "nearest" });
  }

  const keys = {
    j: () => step(1),
    k: () => step(-1),
    a: () => (document.activeElement.closest("tr[data-alarm]") ?? document.querySelector("article.alarm"))
      ?.querySelector("form.act button")?.click(),
    u: () => location.assign("/"),
    "/": () => byId("search")?.focus(),
    "?": () => { const help = byId("help"); help.open = !help.open; help.firstElementChild.focus(); },
  };

  document.addEventListener("keydown", (event) => {
    const field = event.target.closest("input:not([type=checkbox]), select, textarea");
    if (field && event.key === "Escape") field.blur();
    if (field || event.ctrlKey || event.metaKey || event.altKey || !byId("keys").checked || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });

  byId("keys").checked = localStorage.getItem("keys") !== "off";
  byId("keys").addEventListener("change", (event) => localStorage.setItem("keys", event.target.checked ? "on" : "off"));

  const address = new URL(here());
  if (address.searchParams.has("done")) {
    address.searchParams.delete("done");
    history.replaceState(null, "", address);
  }
  const live = byId("live");
  if (live) {
    follow(live.dataset.stream);
    setInterval(() => { if (state.dataset.is === "live" && !document.hidden) refresh(); }, FRESHEN_MS);
  }
})();
