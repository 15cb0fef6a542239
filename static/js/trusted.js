"use strict";
// Where browsers know trusted types, no text becomes HTML or script here, but the answers of our own server that htmx draws.
(() => {
  if (!window.trustedTypes) return;
  // What htmx puts around a part of a page, and where it keeps what must outlive a swap.
  const [before, after] = ['<body><template class="internal-htmx-wrapper">', "</template></body>"];
  const pantry = "<div id='--htmx-preserve-pantry--'></div>";
  const head = /<head(\s[^>]*>|>)([\s\S]*?)<\/head>/i;
  let answer = null;
  const taken = (call) => {
    answer = new URL(call.responseURL).origin === location.origin ? call.responseText.replace(head, "") : null;
  };
  document.addEventListener("htmx:beforeSwap", (event) => taken(event.detail.xhr));
  document.addEventListener("answered", (event) => taken(event.detail));
  const inner = (html) => (html.startsWith(before) && html.endsWith(after) ? html.slice(before.length, -after.length) : html);
  // Null is refused by the browser, and reported.
  trustedTypes.createPolicy("default", { createHTML: (html) => (html === pantry || inner(html) === answer ? html : null) });
})();
