// Reloads the page in the background while it is visible, and replaces changed parts. A button pauses it.
"use strict";
(() => {
  const main = document.querySelector("main[data-refresh]");
  const button = document.getElementById("refresh");
  if (!main || !button) return;
  const KEY = "toggl-auto-refresh";
  const seconds = Number(main.dataset.refresh);
  const parts = (root) => [...root.querySelectorAll("[data-live]")];
  const known = new Map(parts(document).map((part) => [part.id, null]));
  let paused = false;
  let timer = 0;
  let updating = false;
  try {
    paused = localStorage.getItem(KEY) === "off";
  } catch {
    // Storage may be disabled; the button still works.
  }

  // Parts with an open table, a selection or an active field are not replaced.
  const isInUse = (part) => {
    const active = document.activeElement;
    const selection = getSelection();
    return (
      part.querySelector("details[open]") !== null ||
      (part.contains(active) && active.matches("input, select, textarea")) ||
      (selection && !selection.isCollapsed && part.contains(selection.anchorNode))
    );
  };

  const replace = (part, next) => {
    const active = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    part.replaceWith(next);
    togglTimes.localize(next);
    next.dispatchEvent(new Event("refreshed", { bubbles: true }));
    if (active) next.querySelector(`[href="${CSS.escape(active)}"]`)?.focus({ preventScroll: true });
  };

  const update = async () => {
    if (updating || paused || document.hidden) return;
    updating = true;
    try {
      const answer = await fetch(location.href, { headers: { "X-Requested-With": "refresh" } });
      if (!answer.ok || answer.redirected) return pause();
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!known.size || parts(fresh).length !== known.size) return location.reload();
      for (const next of parts(fresh)) {
        const part = document.getElementById(next.id);
        const text = next.outerHTML;
        if (!part || isInUse(part)) continue;
        // The first answer has nothing to compare with: scripts have changed this document.
        if (known.get(next.id) !== text && !(known.get(next.id) === null && next.matches("figure"))) replace(part, document.importNode(next, true));
        known.set(next.id, text);
      }
    } catch {
      // The server is not available; try again next time.
    } finally {
      updating = false;
    }
  };

  const show = () => {
    button.hidden = false;
    button.textContent = `Auto-refresh: ${paused ? "off" : `${seconds} s`}`;
    button.setAttribute("aria-pressed", String(!paused));
    clearInterval(timer);
    if (!paused) timer = setInterval(update, seconds * 1000);
  };
  const pause = () => {
    paused = true;
    show();
  };
  button.addEventListener("click", () => {
    paused = !paused;
    try {
      localStorage.setItem(KEY, paused ? "off" : "on");
    } catch {
      // The choice is kept for this page only.
    }
    show();
    update();
  });
  document.addEventListener("visibilitychange", update);
  document.addEventListener("toggl-refresh", update);
  show();
})();
