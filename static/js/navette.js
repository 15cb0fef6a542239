"use strict";
// The little script of the pages: dialogs, keys, live regions, notices. Everything works without it, only slower.
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  document.documentElement.classList.add("js");

  // --- notices

  function notify(text, tone = "good") {
    const notice = document.createElement("p");
    notice.className = `notice notice--${tone}`;
    notice.textContent = text;
    const open = $("dialog[open]");
    const box = $("#notices");
    // A modal dialog makes the rest of the page inert and silent.
    (open || box).append(notice);
    if (tone !== "bad") setTimeout(() => notice.remove(), 6000);
    else notice.addEventListener("click", () => notice.remove());
  }
  document.addEventListener("notify", (event) => {
    closeDialog();
    notify(event.detail.text, event.detail.tone);
  });

  // --- dialogs

  let opener = null;
  function openDialog(dialog) {
    if (!dialog.open) {
      opener = document.activeElement && document.activeElement.id;
      dialog.showModal();
    }
    const wanted = $(".has-error input, .has-error select, .has-error textarea", dialog)
      || $("[data-focus] input, [data-focus] select, a[data-focus], [autofocus]", dialog);
    if (wanted) wanted.focus();
  }
  function closeDialog() {
    $$("dialog[open]").forEach((dialog) => dialog.close());
  }
  document.addEventListener("close", (event) => {
    // What was done to many rows shows once the list is drawn anew.
    if ($("[data-reload]", event.target)) location.reload();
    if (event.target.id === "dialog") $("#dialog-content").replaceChildren();
    const back = opener && document.getElementById(opener);
    if (back) back.focus();
    opener = null;
  }, true);
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "dialog-content") return;
    openDialog($("#dialog"));
    putBack($("#dialog"));
  });
  document.addEventListener("click", (event) => {
    const target = event.target;
    if (target.closest("[data-close]")) closeDialog();
    else if (target.closest("[data-open]")) openDialog(document.getElementById(target.closest("[data-open]").dataset.open));
    else if (target.closest("[data-more]")) target.closest("[data-more]").setAttribute("aria-expanded", target.closest("form").classList.toggle("filters--all"));
    else if (target.closest("a[data-reload]")) { event.preventDefault(); closeDialog(); }
    else if (target.matches("dialog[open]") && !$("form", target)) target.close();
    $$("details.menu[open]").forEach((menu) => { if (!menu.contains(target)) menu.open = false; });
  });

  // --- live regions

  // Polled every two seconds; not in a hidden tab, and a quarter as often where nobody has moved for two minutes.
  let failures = 0;
  let polls = 0;
  let active = Date.now();
  ["pointermove", "keydown", "scroll"].forEach((name) => addEventListener(name, () => { active = Date.now(); }, { passive: true }));
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.elt.id !== "live") return;
    polls += 1;
    const idle = Date.now() - active > 120000 && polls % 4;
    if (document.hidden || idle) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && $("#live")) htmx.trigger(document.body, "refresh");
  });
  // Whoever works with keys stays where they were: on the same thing, else on the row that follows it, or the one before.
  let focus = null;
  const marksOf = (element) => [element.tagName, ...["id", "name", "formaction", "href"].map((name) => element.getAttribute(name))].join(" ");
  const linkOf = (row) => $("th a", row);
  function noteFocus(piece) {
    const held = document.activeElement;
    if (!piece.contains(held)) return;
    const all = $$("[data-row]", piece);
    const here = all.indexOf(held.closest("[data-row]"));
    const near = here < 0 ? [] : [...all.slice(here), ...all.slice(0, here).reverse()];
    focus = { piece: piece.id, section: held.closest("section")?.id, marks: marksOf(held), rows: near.map((row) => marksOf(linkOf(row))) };
  }
  function giveFocusBack() {
    const piece = focus && document.getElementById(focus.piece);
    if (!piece || piece.contains(document.activeElement)) return;
    // An invoice that went on to another section is not followed there.
    const fields = [document.getElementById(focus.section), piece].filter(Boolean).map((part) => $$("a[href], button, input, summary", part));
    const wanted = fields.flatMap((each) => [focus.marks, ...focus.rows].map((marks) => each.find((field) => marksOf(field) === marks))).find(Boolean);
    (wanted || fields.at(-1)[0])?.focus({ preventScroll: true });
    focus = null;
  }
  // What did not change stays, with its focus, its scroll and its open details.
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const old = event.detail.target;
    const fresh = event.detail.fragment.firstElementChild;
    if (!old || !fresh || !old.dataset.seen) return;
    if (old.dataset.seen === fresh.dataset.seen) { event.detail.shouldSwap = false; return; }
    $$("details[open][id]", old).forEach((each) => {
      const same = fresh.querySelector(`#${CSS.escape(each.id)}`);
      if (same) same.open = true;
    });
    noteFocus(old);
  });
  document.addEventListener("htmx:oobAfterSwap", () => { findStep(); giveFocusBack(); });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) { if (failures) { failures = 0; $$(".notice--offline").forEach((each) => each.remove()); } }
    const form = event.detail.elt;
    if (event.detail.successful && form.matches && form.matches("form[data-reset]")) form.reset();
  });
  function offline() {
    failures += 1;
    if (failures === 2) { notify(document.body.dataset.offline, "bad"); $("#notices").lastElementChild?.classList.add("notice--offline"); }
  }
  document.addEventListener("htmx:sendError", offline);
  document.addEventListener("htmx:responseError", (event) => {
    if (event.detail.elt.id === "live") offline();
    else notify(document.body.dataset.refused, "bad");
  });

  // --- times counted down

  setInterval(() => {
    $$("time[data-until]").forEach((each) => {
      const seconds = Math.round((new Date(each.dateTime) - Date.now()) / 1000);
      if (seconds >= 0 && seconds < 120) each.textContent = `${seconds} s`;
    });
  }, 500);

  // --- what was typed and nobody has taken yet: kept in this tab, and put back for the same person on the same page

  const typed = 'form[method="post"] :is(textarea, input[type=text], input[type=number], input[type=date], input:not([type])):not([autocomplete])';
  const addressOf = (form) => form.getAttribute("action") || "";
  function readKept() {
    const kept = JSON.parse(sessionStorage.getItem("typed") || "null");
    return kept && kept.user === document.body.dataset.user ? kept : { user: document.body.dataset.user, rows: [] };
  }
  function changeKept(change) {
    if (!document.body.dataset.user) return;
    const kept = readKept();
    sessionStorage.setItem("typed", JSON.stringify({ ...kept, rows: change(kept.rows) }));
  }
  const isOf = (row, form) => row.page === location.pathname && row.form === addressOf(form);
  document.addEventListener("input", ({ target }) => {
    if (!target.matches(typed)) return;
    const { name, value, form } = target;
    const row = { page: location.pathname, form: addressOf(form), name, value };
    changeKept((rows) => [...rows.filter((each) => !(isOf(each, form) && each.name === name)), row]);
  });
  function putBack(root = document) {
    const rows = document.body.dataset.user ? readKept().rows : [];
    const fields = $$(typed, root).map((field) => [field, rows.find((row) => isOf(row, field.form) && row.name === field.name)]);
    const back = fields.filter(([field, row]) => row && row.value !== field.value);
    back.forEach(([field, row]) => {
      field.value = row.value;
      field.closest("details")?.setAttribute("open", "");
      field.dispatchEvent(new Event("input", { bubbles: true }));
    });
    if (back.length) notify(document.body.dataset.back);
  }
  // A form that htmx sends has been taken once the server says "done", or saves each letter: then what was sent is.
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    const form = detail.elt;
    if (!detail.successful || !form.matches("form")) return;
    const taken = form.matches("[data-reset], [data-saves]") || detail.xhr.getResponseHeader("HX-Trigger");
    if (!taken || (detail.xhr.getResponseHeader("HX-Redirect") || "").startsWith("/accounts/")) return;
    const sent = detail.requestConfig.formData;
    changeKept((rows) => rows.filter((row) => !isOf(row, form) || (form.matches("[data-saves]") && sent.get(row.name) !== row.value)));
  });
  // Any other is taken once another page of ours has come in answer, for a signed-in person and without an error.
  document.addEventListener("submit", ({ target, defaultPrevented }) => {
    if (defaultPrevented) return;
    changeKept((rows) => rows.map((row) => (isOf(row, target) ? { ...row, left: true } : row)));
    if (target.matches("[data-saves]")) target.dataset.left = "";
  });
  document.addEventListener("htmx:beforeRequest", (event) => { if ("left" in event.detail.elt.dataset) event.preventDefault(); });
  document.addEventListener("DOMContentLoaded", () => {
    const arrival = performance.getEntriesByType("navigation")[0];
    const answered = arrival?.type === "navigate" && (arrival.responseStatus || 200) < 400;
    changeKept((rows) => rows.filter((row) => !(row.left && answered)).map((row) => ({ ...row, left: false })));
    putBack();
  });
  // The back button may bring a page as it was left, with a form that was saved again since.
  addEventListener("pageshow", (event) => { if (event.persisted && $("form[data-saves]")) location.reload(); });

  // --- tabs

  // Links, each with its own address; the server draws the panel.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.elt.matches('a[role="tab"]')) history.replaceState(null, "", event.detail.elt.href);
  });
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest?.('a[role="tab"]');
    if (!tab) return;
    if (event.key === " ") { event.preventDefault(); tab.click(); return; }
    const tabs = $$('[role="tab"]', tab.parentElement);
    const here = tabs.indexOf(tab);
    const next = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const wanted = tabs[(next + tabs.length) % tabs.length];
    wanted.focus();
    // A key may be quicker than htmx with a panel that has just come.
    htmx.process(wanted);
    wanted.click();
  });

  // On a narrow screen the row of tabs is longer than the screen.
  function showTab() {
    const list = $(".tab-list");
    if (list) list.scrollLeft = $('[role="tab"][aria-selected="true"]', list).offsetLeft - list.offsetLeft - 40;
  }
  document.addEventListener("htmx:oobAfterSwap", showTab);
  showTab();

  // --- ticks

  function countTicks(form) {
    const count = $$('td.tick input:checked', form).length;
    $$("[data-tick-count]", form).forEach((each) => { each.textContent = count ? `(${count})` : ""; });
    $$("[data-needs-ticks]", form).forEach((each) => { each.disabled = !count; });
  }
  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (event.target.matches("[data-tick-all]")) $$("td.tick input", form).forEach((each) => { each.checked = event.target.checked; });
    if (event.target.matches("[data-tick-all], td.tick input")) countTicks(form);
    if (event.target.matches("[data-submit]")) form.requestSubmit();
  });
  $$("[data-bulk]").forEach((bulk) => countTicks(bulk.closest("form")));

  // --- the list one came from, for j and k on an invoice

  const rows = () => $$("[data-row] th a").filter((link) => link.offsetParent);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-row] a")) return;
    sessionStorage.setItem("list", JSON.stringify([...new Set(rows().map((link) => link.pathname))]));
    sessionStorage.setItem("from", location.href);
  });
  function findStep() {
    const list = JSON.parse(sessionStorage.getItem("list") || "[]");
    const step = $("[data-step]");
    const place = list.indexOf(location.pathname);
    if (!step || place < 0) return;
    step.hidden = false;
    [["[data-previous]", list[place - 1]], ["[data-next]", list[place + 1]]].forEach(([selector, address]) => {
      const link = $(selector);
      if (address) link.href = address; else link.removeAttribute("href");
    });
    $("[data-place]").textContent = `${place + 1}/${list.length}`;
    const from = sessionStorage.getItem("from");
    if (from) $("[data-back]").href = from;
  }
  findStep();

  // --- keys

  const typing = (element) => element.matches("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
  const shortcuts = $("#shortcuts");
  if (shortcuts) {
    shortcuts.checked = !document.cookie.includes("shortcuts=off");
    shortcuts.addEventListener("change", () => { document.cookie = `shortcuts=${shortcuts.checked ? "on" : "off"}; path=/; max-age=31536000; samesite=lax`; });
  }
  function moveRow(by) {
    const links = rows();
    if (!links.length) return false;
    const here = links.findIndex((link) => link.closest("[data-row]").contains(document.activeElement));
    const next = links[Math.min(Math.max(here + by, 0), links.length - 1)];
    next.focus();
    next.closest("[data-row]").scrollIntoView({ block: "nearest" });
    return true;
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      const go = $("dialog[open] [data-go]") || (event.target.form && $("button[type=submit]", event.target.form));
      if (go) { event.preventDefault(); go.click(); }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.key === "Escape" && event.target.matches("[data-search]")) { event.target.blur(); return; }
    if (typing(event.target) || (shortcuts && !shortcuts.checked)) return;
    if ($("dialog[open]")) return;
    const key = event.key;
    if (key === "j" && moveRow(1)) { event.preventDefault(); return; }
    if (key === "k" && moveRow(-1)) { event.preventDefault(); return; }
    if (key === "v") { $("td.tick input", document.activeElement.closest("[data-row]") || document.createElement("i"))?.click(); return; }
    if (key === "/") { event.preventDefault(); $("[data-search]")?.focus(); $("[data-search]")?.select(); return; }
    if (key === "?") { openDialog($("#help")); return; }
    if (key === "c" && $(".comment-form textarea")) { event.preventDefault(); $(".comment-form textarea").focus(); return; }
    if (!/^[a-z]$/.test(key)) return;
    const target = $(`[data-key="${key}"]`);
    if (target && !target.disabled && (target.tagName !== "A" || target.href)) { event.preventDefault(); target.focus(); target.click(); }
  });

  // --- light and dark

  $("#theme")?.addEventListener("click", () => {
    const dark = document.documentElement.dataset.theme
      ? document.documentElement.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    const theme = dark ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    document.cookie = `theme=${theme}; path=/; max-age=31536000; samesite=lax`;
  });
})();
