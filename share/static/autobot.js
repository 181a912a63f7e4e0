// Keeps a page fresh while it is open. Without it the pages work as they are.
(() => {
  "use strict";
  const root = document.body.dataset.root;
  const query = document.body.dataset.events;

  // --- ages: as words.rs says them ----------------------------------------
  const age = (secs) => {
    const about = (count, unit) => `about ${count} ${unit}${count === 1 ? "" : "s"} ago`;
    if (secs === 1) return "1 second ago";
    if (secs <= 90) return `${secs} seconds ago`;
    if (secs < 5400) return about(Math.floor(secs / 60), "minute");
    if (secs < 86400) return about(Math.floor(secs / 3600), "hour");
    if (secs < 1209600) return about(Math.floor(secs / 86400), "day");
    if (secs < 5184000) return about(Math.floor(secs / 604800), "week");
    return "a long time ago";
  };
  const tellAges = () => {
    for (const time of document.querySelectorAll("time")) {
      if (!time.textContent.endsWith(" ago")) continue;
      const secs = Math.max(0, Math.floor((Date.now() - Date.parse(time.dateTime)) / 1000));
      const said = age(secs);
      if (time.textContent !== said) time.textContent = said;
    }
  };
  setInterval(() => document.hidden || tellAges(), 15000);

  // --- a notice is said once: neither again with what is fetched, nor from a bookmark
  if (document.getElementById("notice")) {
    const here = new URL(location.href);
    here.searchParams.delete("notice");
    history.replaceState(null, "", here);
  }

  // --- a form is sent once, however often its button is clicked ------------
  addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    // Whoever is still here may mean it anew.
    setTimeout(() => delete form.dataset.sent, 3000);
  });

  // --- parts of the page: fetched again and swapped where they differ ------
  let swapping = false;
  let again = false;
  const swap = async () => {
    if (swapping) { again = true; return; }
    swapping = true;
    try {
      const response = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!response.ok) return;
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
      document.title = fresh.title;
      for (const old of document.querySelectorAll("[data-live]")) {
        const part = fresh.getElementById(old.id);
        if (!part || part.outerHTML === old.outerHTML) continue;
        replace(old, document.adoptNode(part));
      }
      read();
    } catch {
      // The master is away; the next event or the reconnection tries again.
    } finally {
      swapping = false;
      if (again) { again = false; later(); }
    }
  };
  const replace = (old, part) => {
    const focus = old.contains(document.activeElement) ? document.activeElement : null;
    const typed = [...old.querySelectorAll("input[id]")].map((it) => [it.id, it.value]);
    const open = [...old.querySelectorAll("details[open]")].map((it) => it.id);
    const checked = new Set([...old.querySelectorAll("input[name=selected]:checked")].map((it) => it.value));
    const scrolled = [...old.querySelectorAll(".scroll")].map((it) => [it.scrollLeft, it.scrollTop]);
    // A log that grows has read further than its twin: it stays.
    for (const log of old.querySelectorAll(".log[data-chunk]")) {
      part.querySelector(`#${log.id}[data-chunk]`)?.replaceWith(log);
    }
    old.replaceWith(part);
    for (const [id, value] of typed) {
      const field = document.getElementById(id);
      if (field) field.value = value;
    }
    for (const box of part.querySelectorAll("input[name=selected]")) box.checked = checked.has(box.value);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    part.querySelectorAll(".scroll").forEach((it, at) => {
      if (scrolled[at]) [it.scrollLeft, it.scrollTop] = scrolled[at];
    });
    if (!focus) return;
    const twin = focus.id
      ? document.getElementById(focus.id)
      : focus.href && [...part.querySelectorAll("a")].find((it) => it.href === focus.href);
    twin?.focus({ preventScroll: true });
  };
  let timer = 0;
  // Soon, and not once per event: a busy master has many, and none of them may put it off.
  const later = () => {
    timer ||= setTimeout(() => { timer = 0; swap(); }, 400);
  };

  // --- a list that is narrowed while somebody types ------------------------
  for (const form of document.querySelectorAll("form[data-search]")) {
    let typed = 0;
    const narrow = () => {
      const asked = [...new FormData(form)].filter(([, value]) => value !== "");
      history.replaceState(null, "", `?${new URLSearchParams(asked)}`);
      swap();
    };
    form.addEventListener("input", () => { clearTimeout(typed); typed = setTimeout(narrow, 250); });
  }

  // --- a text that goes elsewhere -------------------------------------------
  for (const field of document.querySelectorAll("input[data-copy]")) {
    field.addEventListener("focus", () => field.select());
    if (!navigator.clipboard) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(field.value);
      button.textContent = "Copied";
    });
    field.closest("label").after(button);
  }

  // --- a log that grows ----------------------------------------------------
  const growing = () => document.querySelector(".log[data-chunk]");
  const following = document.getElementById("following");
  const MOST_LINES = 20000;
  let reading = false;
  let more = false;
  const isAtEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const read = async () => {
    if (!growing()) return;
    if (reading) { more = true; return; }
    reading = true;
    try {
      do {
        more = false;
        const log = growing();
        if (!log) return;
        const offset = encodeURIComponent(log.dataset.next);
        const ids = log.dataset.ids ? `&ids=${encodeURIComponent(log.dataset.ids)}` : "";
        const times = log.dataset.times ? "&times=1" : "";
        const response = await fetch(`${log.dataset.chunk}?offset=${offset}${ids}${times}`);
        if (!response.ok) return;
        const chunk = await response.json();
        const follow = isAtEnd(log);
        const lines = log.querySelector(".lines");
        lines.insertAdjacentHTML("beforeend", chunk.html);
        log.querySelector(".unfinished").innerHTML = chunk.unfinished ?? "";
        log.dataset.next = chunk.next;
        // A line is an element and the text of its end.
        const most = 2 * (following ? MOST_LINES : Number(log.dataset.most));
        while (lines.childNodes.length > most) lines.firstChild.remove();
        if (follow) log.scrollTop = log.scrollHeight;
        if (chunk.done) {
          delete log.dataset.chunk;
          if (following) following.textContent = "The log is complete.";
        }
        more = more || chunk.more;
        // A log that grows line by line is asked for a few times a second.
        if (!chunk.more) await new Promise((done) => setTimeout(done, 250));
      } while (more);
    } catch {
      // Tried again with the next event or tick.
    } finally {
      reading = false;
    }
  };
  const whole = document.querySelector(".whole > .log");
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
  // What still grows, and what went wrong, is read from its end.
  else if (whole && !/[?&](line=|from=\d)/.test(location.search) && (growing() || document.querySelector("#badge .failure, #badge .exception"))) {
    whole.scrollTop = whole.scrollHeight;
  }
  // Events are hints: look now and then without one.
  setInterval(read, 5000);

  // How long something runs is told by the master.
  setInterval(() => document.hidden || !document.querySelector("main .badge.running") || later(), 15000);

  // --- the waterfall: what is older comes as one scrolls down ---------------
  const fall = document.querySelector(".fall");
  let falling = false;
  const fallOn = async () => {
    const link = fall.querySelector("#older a[data-next]");
    if (!link || falling) return;
    falling = true;
    try {
      const response = await fetch(link.dataset.next, { headers: { Accept: "text/html" } });
      if (!response.ok) return;
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
      const names = (page) => page.querySelector("#fall-head .names")?.textContent;
      // Other builders than above: a reload has changed the columns.
      if (names(fresh) !== names(document)) return link.removeAttribute("data-next");
      const older = document.getElementById("older");
      const rows = fresh.getElementById("fall");
      if (rows) {
        // What grows above would push what was read off its place: the head alone stays fresh.
        for (const part of [document.getElementById("fall"), older]) part.removeAttribute("data-live");
        for (const cell of fall.querySelectorAll("tbody .ahead")) cell.replaceWith(Object.assign(document.createElement("td"), { rowSpan: cell.rowSpan }));
        rows.removeAttribute("id");
        rows.removeAttribute("data-live");
        rows.classList.add("further");
        fall.querySelector("table").append(document.adoptNode(rows));
      }
      older.innerHTML = fresh.getElementById("older").innerHTML;
    } catch {
      // The link works by hand.
    } finally {
      falling = false;
    }
  };
  fall?.addEventListener("scroll", () => {
    if (fall.scrollTop === 0 && fall.querySelector(".further")) {
      // Back at the top: everything is fresh again.
      for (const rows of fall.querySelectorAll(".further")) rows.remove();
      for (const id of ["fall", "older"]) document.getElementById(id)?.setAttribute("data-live", "");
      later();
    } else if (fall.scrollTop > 0 && fall.scrollHeight - fall.scrollTop - fall.clientHeight < 600) {
      fallOn();
    }
  });

  // --- what happens ----------------------------------------------------------
  if (!document.querySelector("[data-live]")) return;
  // What the whole page changes by; a log page only by the end of its step.
  const names = following
    ? ["step_finished", "build_finished", "shutdown_changed", "resync"]
    : ["change_added", "request_added", "request_finished", "build_started", "step_started", "step_finished",
      "build_finished", "slave_changed", "trouble_changed", "reloaded", "reload_refused",
      "shutdown_changed", "resync"];
  let events = null;
  const listen = () => {
    // Others' events stay with the master, and growth with those who show a log.
    const kinds = [...names, ...(query.startsWith("build=") ? ["log_grew"] : [])].map((it) => `kind=${it}`);
    events = new EventSource(`${root}events?${[query, ...kinds].filter(Boolean).join("&")}`);
    // What happened since the page was drawn, or while the line was cut.
    events.addEventListener("open", () => { later(); read(); });
    for (const name of names) events.addEventListener(name, () => { later(); read(); });
    events.addEventListener("log_grew", (event) => {
      const told = JSON.parse(event.data);
      const log = growing();
      if (log && String(told.step) === log.dataset.step && told.log === log.dataset.log) read();
    });
  };
  // A browser has few connections per site: a page that nobody sees gives its own back.
  const attend = () => {
    if (document.hidden) { events?.close(); events = null; }
    else if (!events) listen();
  };
  addEventListener("visibilitychange", attend);
  addEventListener("pagehide", () => events?.close());
  attend();
  addEventListener("pageshow", (event) => event.persisted && location.reload());
})();
