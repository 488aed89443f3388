// Both consoles: reads a page again in place, keys, copying. Nodes come parsed from our own server, text is never markup.
"use strict";
(() => {
  const body = document.body;
  const period = Number(body.dataset.poll || 0);
  const RETRY_MS = 4000;
  const ANNOUNCE_MS = 10000;
  const REQUEST_MS = 10000;
  let timer = 0;
  let announced = 0;

  // -- in place ------------------------------------------------------------------------------------------------
  function localTimes(root) {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const moment = new Date(time.getAttribute("datetime"));
      const utc = time.title.split(" · ")[0];
      if (!Number.isNaN(moment.getTime())) time.title = `${utc} · ${moment.toLocaleString()} here`;
    }
  }

  function attributes(old, fresh) {
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !(name === "open" && old.localName === "details")) old.removeAttribute(name);
    }
    for (const { name, value } of [...fresh.attributes]) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  }

  const touched = (element) => element.matches(":hover") || element.contains(document.activeElement);
  const held = (list) => touched(list.closest(".card") || list) || scrollY > 200;
  const key = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.dataset.key || "" : "");

  // Rows: known ones change in place, new ones wait behind "3 new" while somebody reads here.
  function rows(old, fresh) {
    const known = new Map([...old.children].map((row) => [key(row), row]));
    const wanted = [...fresh.children];
    const added = wanted.filter((row) => !known.has(key(row)));
    if (added.length && held(old)) {
      for (const row of wanted) if (known.has(key(row))) morph(known.get(key(row)), row);
      waiting(old, added.length, () => place(old, wanted, known));
      return;
    }
    waiting(old, 0);
    place(old, wanted, known);
  }

  function place(old, wanted, known) {
    const keep = new Set(wanted.map(key));
    for (const [name, row] of known) if (!keep.has(name)) row.remove();
    wanted.forEach((row, at) => {
      const mine = known.get(key(row));
      if (mine) morph(mine, row);
      const node = mine || document.adoptNode(row);
      if (old.children[at] !== node) old.insertBefore(node, old.children[at] || null);
    });
  }

  function waiting(list, count, show) {
    const card = list.closest(".card") || list.parentElement;
    let button = card.querySelector(":scope > .newer");
    if (!count) { if (button) button.remove(); return; }
    if (!button) {
      button = document.createElement("button");
      button.type = "button";
      button.className = "button newer";
      card.insertBefore(button, card.querySelector(":scope > div"));
    }
    button.textContent = `${count} new`;
    button.onclick = () => { show(); button.remove(); };
  }

  function morph(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== Node.ELEMENT_NODE) { old.nodeValue = fresh.nodeValue; return; }
    if (old === document.activeElement && /^(INPUT|SELECT|TEXTAREA)$/.test(old.tagName)) return;
    if (old.hasAttribute("data-hold") && touched(old)) return;
    attributes(old, fresh);
    if (old.hasAttribute("data-rows")) { rows(old, fresh); return; }
    const mine = [...old.childNodes].filter((node) => !(node.classList && node.classList.contains("newer")));
    const theirs = [...fresh.childNodes];
    theirs.forEach((node, at) => {
      const match = mine[at];
      if (!match) old.appendChild(document.adoptNode(node));
      else if (match.nodeType !== node.nodeType || match.nodeName !== node.nodeName || key(match) !== key(node)) {
        match.replaceWith(document.adoptNode(node));
      } else morph(match, node);
    });
    mine.slice(theirs.length).forEach((node) => node.remove());
  }

  function announce() {
    const title = document.querySelector("main h1");
    const said = document.getElementById("said");
    const now = Date.now();
    if (!title || title.textContent === said.dataset.last || now - announced < ANNOUNCE_MS) return;
    if (said.dataset.last !== undefined) said.textContent = title.textContent;
    said.dataset.last = title.textContent;
    announced = now;
  }

  // -- reading again -------------------------------------------------------------------------------------------
  function plan(wait) {
    clearTimeout(timer);
    if (period && !document.hidden) timer = setTimeout(read, wait);
  }

  function failed(what) {
    const trouble = document.getElementById("trouble");
    const clock = document.querySelector("#moment .clock");
    document.getElementById("moment").classList.add("late");
    trouble.textContent = `${what}: as of ${clock ? clock.textContent : "the last reading"}, trying again in ${RETRY_MS / 1000} s`;
    trouble.hidden = false;
    plan(RETRY_MS);
  }

  function read() {
    const request = new XMLHttpRequest();
    request.open("GET", location.href);
    request.responseType = "document";
    request.timeout = REQUEST_MS;
    request.onload = () => {
      const fresh = request.response && request.response.getElementById("main");
      if (request.status >= 400 || !fresh) { failed(`The ${body.dataset.console} answered ${request.status}`); return; }
      localTimes(fresh);
      morph(document.getElementById("main"), fresh);
      const moment = request.response.getElementById("moment");
      document.getElementById("moment").classList.remove("late");
      if (moment) morph(document.getElementById("moment"), moment);
      document.title = request.response.title;
      document.getElementById("trouble").hidden = true;
      announce();
      body.dataset.readings = String(Number(body.dataset.readings || 0) + 1);
      plan(period);
    };
    request.onerror = () => failed(`The ${body.dataset.console} does not answer`);
    request.ontimeout = request.onerror;
    request.send();
  }
  document.addEventListener("visibilitychange", () => { if (document.hidden) clearTimeout(timer); else if (period) read(); });

  // -- keys and copying ----------------------------------------------------------------------------------------
  const keysOn = () => localStorage.getItem("keys") !== "off";
  const choice = document.getElementById("keys-on");
  choice.checked = keysOn();
  choice.addEventListener("change", () => localStorage.setItem("keys", choice.checked ? "on" : "off"));

  function copy(button) {
    if (!navigator.clipboard) return;
    navigator.clipboard.writeText(button.dataset.copy).then(() => {
      button.classList.add("copied");
      setTimeout(() => button.classList.remove("copied"), 800);
    });
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
    const back = event.target.closest("[data-now]");
    if (back) { event.preventDefault(); toNow(); }
  });

  function toNow() {
    const address = new URL(location.href);
    address.searchParams.delete("at");
    location.assign(address);
  }

  function step(by) {
    const links = [...document.querySelectorAll("main [data-rows] tr a:first-of-type")].filter(
      (link, at, all) => all.findIndex((other) => other.closest("tr") === link.closest("tr")) === at);
    const at = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
    const next = links[at < 0 ? 0 : at + by];
    if (next) next.focus();
  }

  let going = false;
  const acts = {
    "/": () => { const field = document.querySelector(".search input"); if (field) { field.focus(); field.select(); } },
    "?": () => document.getElementById("keys").showModal(),
    ".": () => { const id = document.querySelector("main [data-copy]"); if (id) copy(id); },
    j: () => step(1),
    k: () => step(-1),
    n: () => { if (new URL(location.href).searchParams.has("at")) toNow(); },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !keysOn()) return;
    if (event.target.closest("input, textarea, select, dialog")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const wentBefore = going;
    going = !wentBefore && event.key === "g";
    if (going) return;
    if (wentBefore) {
      const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); link.click(); }
      return;
    }
    const view = document.querySelector(`[data-view-key="${CSS.escape(event.key)}"]`);
    if (view) { view.click(); return; }
    if (Object.hasOwn(acts, event.key)) { event.preventDefault(); acts[event.key](); }
  });

  localTimes(document);
  announce();
  plan(period);
})();
