// The page of a log: reads on where one scrolls to, folds its parts, and knows a few keys.
// Without it the page has links for all of that but the folds.
(() => {
  "use strict";
  const whole = document.querySelector(".whole[data-log]");
  const here = whole ? whole.dataset.log : location.pathname;

  // --- keys: none where something is typed, and none for who does not want them -----------
  const useKeys = document.getElementById("use-keys");
  if (useKeys) {
    useKeys.parentElement.hidden = false;
    try {
      useKeys.checked = localStorage.getItem("log-keys") !== "off";
      useKeys.addEventListener("change", () => localStorage.setItem("log-keys", useKeys.checked ? "on" : "off"));
    } catch {
      // A browser that keeps nothing asks anew each time.
    }
  }
  const follow = (id) => document.getElementById(id)?.click();
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    if (useKeys && !useKeys.checked) return;
    if (event.target.closest?.("input, textarea, select, button, [contenteditable]")) return;
    const log = document.querySelector(".whole > .log");
    const acts = {
      "/": () => document.getElementById("find")?.focus(),
      n: () => follow("hit-next"),
      N: () => follow("hit-previous"),
      g: () => (document.getElementById("log-first") ? follow("log-first") : log && (log.scrollTop = 0)),
      G: () => (document.getElementById("log-last") ? follow("log-last") : log && (log.scrollTop = log.scrollHeight)),
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  });
  if (!whole) return;
  const log = whole.querySelector(".log");
  const lines = log.querySelector(".lines");
  const number = (line) => Number(line?.querySelector("a")?.dataset.n ?? 0);
  const all = () => [...lines.children];
  const times = log.dataset.times ? "&times=1" : "";

  // --- lines that an address names -------------------------------------------------------
  const named = () => /^#L(\d+)(?:-L?(\d+))?$/.exec(location.hash);
  const mark = () => {
    const found = named();
    for (const it of lines.querySelectorAll(".here")) it.classList.remove("here");
    if (!found) return;
    const [first, last] = [Number(found[1]), Number(found[2] ?? found[1])].sort((a, b) => a - b);
    let shown = null;
    for (const line of all()) {
      if (number(line) < first || number(line) > last) continue;
      line.classList.add("here");
      shown ??= line;
    }
    if (!shown) {
      // Not on this part of the log: the page around it is asked for.
      const total = Number(whole.dataset.lines);
      if (first >= 1 && first <= total) location.replace(`${here}?line=${first}-${last}${times}${location.hash}`);
      return;
    }
    unfold(shown);
    shown.scrollIntoView({ block: "center" });
  };
  addEventListener("hashchange", mark);
  lines.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-n]");
    const from = named();
    if (!link || !event.shiftKey || !from) return;
    event.preventDefault();
    const [first, last] = [Number(from[1]), Number(link.dataset.n)].sort((a, b) => a - b);
    history.replaceState(null, "", `#L${first}-L${last}`);
    mark();
  });

  // --- folds: what a program groups, and long talk about a command -----------------------
  const TALK = 8;
  const folded = new Set();
  // The lines of a part, behind the one that opens it.
  const part = (opener) => {
    const inside = [];
    const isTalk = opener.classList.contains("head") && !opener.classList.contains("opens");
    let depth = 1;
    for (let line = opener.nextElementSibling; line; line = line.nextElementSibling) {
      if (isTalk) {
        if (!line.classList.contains("head")) break;
      } else if (line.classList.contains("opens")) {
        depth += 1;
      } else if (line.classList.contains("closes") && (depth -= 1) === 0) {
        inside.push(line);
        return inside;
      }
      inside.push(line);
    }
    return isTalk ? inside : null;
  };
  const setFolded = (opener, isFolded) => {
    const inside = part(opener);
    if (!inside) return;
    const button = opener.querySelector("button");
    button.setAttribute("aria-expanded", String(!isFolded));
    button.textContent = isFolded ? `▸ ${inside.length} lines` : "▾";
    button.setAttribute("aria-label", `${isFolded ? "show" : "hide"} ${inside.length} lines`);
    opener.classList.toggle("folded", isFolded);
    folded[isFolded ? "add" : "delete"](number(opener));
    // A part in a part that is folded stays as it is.
    let skip = 0;
    for (const line of inside) {
      const end = line.nextSibling;
      const hide = isFolded || skip > 0;
      line.hidden = hide;
      if (end && end.nodeType === 3) end.data = hide ? "" : "\n";
      if (skip > 0) skip -= 1;
      else if (!isFolded && line.classList.contains("folded")) skip = part(line)?.length ?? 0;
    }
  };
  const unfold = (line) => {
    for (let it = line; it && line.hidden; it = it.previousElementSibling) {
      if (it.classList.contains("folded")) setFolded(it, false);
    }
  };
  const dress = (fresh) => {
    for (const line of fresh) {
      if (line.querySelector("button")) continue;
      const isGroup = line.classList.contains("opens");
      const isTalk = line.classList.contains("head") && !line.previousElementSibling?.classList.contains("head");
      if (!isGroup && !isTalk) continue;
      const inside = part(line);
      if (!inside || (!isGroup && inside.length < TALK)) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "fold";
      button.addEventListener("click", () => setFolded(line, !line.classList.contains("folded")));
      line.querySelector("a").after(button);
      const wanted = [line, ...inside].some((it) => it.matches(".here, .hit") || `#${it.id}` === location.hash);
      setFolded(line, !wanted);
    }
  };
  // A part that was open when its end had not come is dressed when that comes.
  let dressing = 0;
  new MutationObserver(() => {
    dressing ||= requestAnimationFrame(() => { dressing = 0; dress(all()); });
  }).observe(lines, { childList: true });
  dress(all());
  mark();

  // --- the lines around those that are there ------------------------------------------------
  const STEP = 400;
  const MOST = 4000;
  let busy = false;
  const ask = async (line, count) => {
    const response = await fetch(`${here}/chunk?line=${line}&count=${count}${times}`);
    return response.ok ? response.json() : null;
  };
  // A line is an element and the text of its end.
  const drop = (fromTop) => {
    while (lines.childNodes.length > 2 * MOST) (fromTop ? lines.firstChild : lines.lastChild).remove();
  };
  const readBefore = async () => {
    const first = number(lines.firstElementChild);
    if (first <= 1) return;
    let html = "";
    // Of very long lines fewer come at once than were asked for.
    for (let from = Math.max(1, first - STEP); from < first; ) {
      const chunk = await ask(from, first - from);
      if (!chunk || chunk.next_line <= from) return;
      html += chunk.html;
      from = chunk.next_line;
    }
    const below = log.scrollHeight - log.scrollTop;
    lines.insertAdjacentHTML("afterbegin", html);
    log.scrollTop = log.scrollHeight - below;
    // A log that grows is followed at its end, so the end stays.
    if (!log.dataset.chunk) drop(false);
  };
  const readBehind = async () => {
    const last = number(lines.lastElementChild);
    const total = Number(whole.dataset.lines);
    if (log.dataset.chunk || !last || (total && last >= total)) return;
    const chunk = await ask(last + 1, STEP);
    if (!chunk || !chunk.html) {
      if (chunk?.unfinished) log.querySelector(".unfinished").innerHTML = chunk.unfinished;
      whole.dataset.lines = String(last);
      return;
    }
    log.querySelector(".unfinished").innerHTML = chunk.more ? "" : chunk.unfinished ?? "";
    lines.insertAdjacentHTML("beforeend", chunk.html);
    const above = log.scrollHeight;
    drop(true);
    log.scrollTop -= above - log.scrollHeight;
    if (!chunk.more && !chunk.done) {
      // The end of a log that grows: from here on it is followed.
      Object.assign(log.dataset, { chunk: `${here}/chunk`, next: chunk.next });
    }
  };
  const look = async () => {
    if (busy) return;
    busy = true;
    try {
      if (log.scrollTop < 300) await readBefore();
      if (log.scrollHeight - log.scrollTop - log.clientHeight < 300) await readBehind();
    } catch {
      // The master is away; scrolling on tries again.
    } finally {
      busy = false;
    }
  };
  log.addEventListener("scroll", () => requestAnimationFrame(look), { passive: true });
})();
