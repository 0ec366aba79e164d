// Keeps the bar on top up to date and says when a page has become old. Every
// page is whole without it.
"use strict";
(() => {
  const short = (id) => (id.length <= 12 ? id : id.slice(0, 6) + "…" + id.slice(-4));
  const put = (name, text) => {
    const at = document.querySelector(`[data-live="${name}"]`);
    if (at && at.textContent !== text) at.textContent = text;
  };
  const shown = () => Number((document.getElementById("index")?.textContent || "0").replaceAll(",", ""));
  const bar = document.getElementById("bar");
  if (document.body.hasAttribute("data-live") && bar) {
    const from = shown();
    const stream = new EventSource("/live");
    let lost = null;
    stream.onmessage = (e) => {
      const n = JSON.parse(e.data);
      clearTimeout(lost);
      bar.className = "bar " + n.state;
      put("leader", n.leader ? short(n.leader) : "none");
      put("voters", `${n.up}/${n.voters}`);
      put("lag", n.lag.toLocaleString("en-US"));
      put("word", n.word);
      put("next", n.next);
      const old = document.getElementById("old");
      if (old && n.index > from) old.hidden = false;
    };
    stream.onerror = () => {
      clearTimeout(lost);
      lost = setTimeout(() => {
        bar.className = "bar bad";
        put("word", "this member does not answer");
      }, 3000);
    };
  }
  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", () => navigator.clipboard.writeText(button.dataset.copy).then(() => { button.textContent = "Copied"; }));
  }
  let g = false;
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) return;
    if (e.key === "/") {
      const search = document.querySelector('[role="search"] input');
      if (search) { search.focus(); e.preventDefault(); }
    } else if (e.key === "g") {
      g = true;
      setTimeout(() => { g = false; }, 1500);
      return;
    } else if (g) {
      document.querySelector(`nav [data-key="${CSS.escape(e.key)}"]`)?.click();
    }
    g = false;
  });
})();
