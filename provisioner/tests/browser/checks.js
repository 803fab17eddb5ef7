// SPDX-License-Identifier: Apache-2.0
// What every page must pass, run in the page. Returns what is wrong, a line each.
const wrong = [];
const say = (what, at) => {
  const where = at ? ": " + at.outerHTML.slice(0, 140).replace(/\s+/g, " ") : "";
  if (wrong.length < 40) wrong.push(what + where);
};
const all = (selector, from) => [...(from || document).querySelectorAll(selector)];
const seen = (at) => {
  const box = at.getBoundingClientRect();
  return box.width > 0 && box.height > 0 && getComputedStyle(at).visibility !== "hidden";
};

// Landmarks, names, headings.
if (!document.documentElement.lang) say("the page has no language");
if (!document.title.trim()) say("the page has no title");
if (all("main").length !== 1) say("the page has not one main part");
if (all("h1").length !== 1) say("the page has not one h1");
for (const nav of all("nav")) if (!nav.getAttribute("aria-label")) say("a nav has no name", nav);
let level = 0;
const first = all("h1, h2, h3, h4")[0];
if (first && first.tagName !== "H1") say("a heading stands before the h1", first);
for (const heading of all("h1, h2, h3, h4")) {
  const is = Number(heading.tagName[1]);
  if (level > 0 && is > level + 1) say("a heading leaves a level out", heading);
  level = is;
  if (!heading.textContent.trim()) say("a heading is empty", heading);
}
const ids = new Set();
for (const each of all("[id]")) {
  if (ids.has(each.id)) say("an id stands twice", each);
  ids.add(each.id);
}
for (const each of all("[aria-labelledby]"))
  for (const id of each.getAttribute("aria-labelledby").split(" "))
    if (!ids.has(id)) say("a label is missing: " + id, each);
for (const each of all("input, select, textarea"))
  if (!each.labels || each.labels.length === 0) say("a field has no label", each);
for (const each of all("a[href], button, summary"))
  if (!each.textContent.trim() && !each.getAttribute("aria-label")) say("a link or button has no name", each);
for (const each of all("svg"))
  if (each.getAttribute("aria-hidden") !== "true" && !each.getAttribute("aria-label")) say("a picture has no name", each);
for (const each of all("progress"))
  if (!each.getAttribute("aria-label")) say("a progress bar has no name", each);
for (const table of all("table")) {
  if (all("thead th[scope=col]", table).length === 0) say("a table has no column headers", table);
  for (const row of all("tbody tr", table)) if (!row.querySelector("th[scope=row]")) say("a row has no header", row);
  // What is laid out as something else is no table any more for who hears it, unless it says so.
  for (const part of [table, ...all("tbody, tr, th, td", table)])
    if (!getComputedStyle(part).display.startsWith("table") && seen(part) && !part.getAttribute("role")) say("a table is none", part);
}
for (const each of all("[tabindex]")) if (each.tabIndex > 0) say("a tabindex is positive", each);
for (const each of all("*"))
  for (const { name } of each.attributes) if (name.startsWith("on") || name === "style") say("an attribute is code or style", each);

// Whatever scrolls can be scrolled with the keyboard.
for (const each of all("*")) {
  const style = getComputedStyle(each);
  const scrolls = /auto|scroll/.test(style.overflowX + style.overflowY) &&
    (each.scrollWidth > each.clientWidth + 1 || each.scrollHeight > each.clientHeight + 1);
  if (scrolls && each !== document.scrollingElement && each !== document.body && each.tabIndex < 0)
    say("a region scrolls and has no keyboard", each);
}
const wide = document.scrollingElement;
if (wide.scrollWidth > wide.clientWidth) {
  say("the page scrolls sideways: " + wide.scrollWidth + " of " + wide.clientWidth);
  const out = all("body *").filter((each) => each.getBoundingClientRect().right > wide.clientWidth + 1 && !each.closest(".scroll, pre, .skip, .hide"));
  for (const each of out.slice(0, 3)) say("too wide", each);
}

// Contrast, by WCAG 2: 4.5, or 3 for large text.
const parse = (text) => {
  const parts = (text.match(/[\d.]+/g) || []).map(Number);
  return { r: parts[0], g: parts[1], b: parts[2], a: parts.length > 3 ? parts[3] : 1 };
};
const light = ({ r, g, b }) => {
  const part = (value) => {
    const c = value / 255;
    return c <= 0.03928 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const behind = (at) => {
  for (let each = at; each; each = each.parentElement) {
    const colour = parse(getComputedStyle(each).backgroundColor);
    if (colour.a === 1) return colour;
    if (colour.a > 0) return null;
  }
  return { r: 255, g: 255, b: 255, a: 1 };
};
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const at = texts.currentNode.parentElement;
  if (!texts.currentNode.textContent.trim() || at.closest("svg, noscript, script, .hide, .skip") || !seen(at)) continue;
  const style = getComputedStyle(at);
  const back = behind(at);
  if (!back) { say("a background lets something through", at); continue; }
  const [high, low] = [light(parse(style.color)), light(back)].sort((a, b) => b - a);
  const contrast = (high + 0.05) / (low + 0.05);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  if (contrast < (large ? 3 : 4.5)) say("contrast " + contrast.toFixed(2), at);
}
return wrong;
