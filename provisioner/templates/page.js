// SPDX-License-Identifier: Apache-2.0
// Makes a page live: the server says that there is something new, the page asks for itself again, and each part that
// differs is exchanged. Every word is the server's. Without this file the page is the same, and renews itself as a whole.
"use strict";
(() => {
  const main = document.getElementById("main");
  const state = document.getElementById("live-state");
  const renewed = document.getElementById("live-at");
  const address = main && main.dataset.live;
  if (!address || !state || !renewed || !window.EventSource) return;
  const RETRY_MS = 5000;
  let stream = null;
  let mark = main.dataset.mark;
  let busy = false;
  let wanted = false;
  let retry = 0;
  let lost = false;

  const clock = () => new Date().toISOString().slice(11, 19) + " UTC";
  // It is read out whenever it changes: what changes all the time stands beside it.
  const say = (text, live) => {
    if (state.textContent !== text) state.textContent = text;
    state.parentElement.className = live ? "live on" : "live off";
    lost = !live;
  };

  // The element that has the keyboard, as it is found again in the new text.
  const focused = (part) => {
    const at = document.activeElement;
    if (!at || !part.contains(at)) return null;
    if (at.id) return "#" + CSS.escape(at.id);
    if (at.tagName === "SUMMARY") return "#" + CSS.escape(at.parentElement.id) + " > summary";
    const href = at.getAttribute("href");
    if (href) return at.tagName.toLowerCase() + '[href="' + CSS.escape(href) + '"]';
    const label = at.getAttribute("aria-label");
    return label ? '[aria-label="' + CSS.escape(label) + '"]' : null;
  };

  const exchange = (old, fresh) => {
    if (old.innerHTML === fresh.innerHTML && old.className === fresh.className) return;
    const at = focused(old);
    const open = [...old.querySelectorAll("details[open][id]")].map((each) => each.id);
    const scrolled = [...old.querySelectorAll("[tabindex][aria-label]")].map((each) => [
      each.getAttribute("aria-label"), each.scrollTop, each.scrollLeft]);
    old.className = fresh.className;
    old.replaceChildren(...[...fresh.childNodes].map((each) => document.importNode(each, true)));
    for (const id of open) {
      const each = document.getElementById(id);
      if (each) each.open = true;
    }
    for (const [label, top, left] of scrolled) {
      const each = old.querySelector('[aria-label="' + CSS.escape(label) + '"]');
      if (each) { each.scrollTop = top; each.scrollLeft = left; }
    }
    const again = at && old.querySelector(at);
    if (again) again.focus({ preventScroll: true });
  };

  const renew = async () => {
    if (busy) { wanted = true; return; }
    busy = true;
    try {
      do {
        wanted = false;
        const answer = await fetch(location.href, { cache: "no-store", redirect: "error" });
        if (!answer.ok) throw new Error(String(answer.status));
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        const parts = [...document.querySelectorAll("[data-part]")];
        const ids = (all) => all.map((each) => each.id).join(" ");
        if (ids(parts) !== ids([...fresh.querySelectorAll("[data-part]")])) {
          // The site itself has changed: there are other racks.
          location.reload();
          return;
        }
        for (const part of parts) exchange(part, fresh.getElementById(part.id));
        document.title = fresh.title;
        mark = fresh.getElementById("main").dataset.mark;
        main.dataset.mark = mark;
      } while (wanted);
      say("Live.", true);
      renewed.textContent = "Renewed " + clock() + ".";
    } catch (error) {
      broken();
    } finally {
      busy = false;
    }
  };

  const close = () => {
    if (stream) stream.close();
    stream = null;
    clearTimeout(retry);
  };
  const broken = () => {
    close();
    // It is said once, with the time when it broke, and not at each try.
    if (!lost) {
      say("Not live: the connection broke. What you see is from before " + clock() + ". It is tried again.", false);
      renewed.textContent = "";
    }
    retry = setTimeout(open, RETRY_MS);
  };
  const open = () => {
    close();
    stream = new EventSource(address);
    stream.onopen = () => say("Live.", true);
    stream.onmessage = (event) => { if (event.data !== mark) renew(); };
    stream.onerror = broken;
  };
  // A page that nobody sees holds no connection.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  open();
})();
