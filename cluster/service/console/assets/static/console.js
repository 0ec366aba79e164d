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
  // New events of the audit trail wait until somebody asks for them, so that
  // nothing moves under the pointer.
  const followTrail = (stream, tail) => {
    const show = document.getElementById("shownew");
    const follow = document.getElementById("follow");
    let waiting = "";
    let n = 0;
    const put = () => {
      const body = document.querySelector("#trail tbody");
      if (!body) { location.reload(); return; } // the trail was empty
      for (const row of body.querySelectorAll(".fresh")) row.classList.remove("fresh");
      const before = body.rows.length;
      body.insertAdjacentHTML("afterbegin", waiting);
      for (let i = body.rows.length - before - 1; i >= 0; i--) body.rows[i].classList.add("fresh");
      waiting = "";
      n = 0;
      show.disabled = true;
      show.textContent = "no new events";
    };
    show.addEventListener("click", put);
    follow.addEventListener("change", () => { if (follow.checked && n) put(); });
    stream.addEventListener("audit", (e) => {
      const news = JSON.parse(e.data);
      waiting = news.rows + waiting;
      n += news.n;
      if (follow.checked) { put(); return; }
      show.disabled = false;
      show.textContent = n === 1 ? "1 new event: show it" : `${n} new events: show them`;
    });
    tail.hidden = false;
  };
  const bar = document.getElementById("bar");
  if (document.body.hasAttribute("data-live") && bar) {
    const from = shown();
    const tail = document.getElementById("tail");
    const stream = new EventSource(tail ? "/live?" + tail.dataset.follow : "/live");
    if (tail) followTrail(stream, tail);
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
  const keys = document.getElementById("keys");
  const button = document.getElementById("showkeys");
  if (keys && button) {
    button.parentElement.hidden = false;
    button.addEventListener("click", () => keys.showModal());
  }
  let g = false;
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) return;
    if (e.key === "/") {
      const search = document.querySelector('[role="search"] input');
      if (search) { search.focus(); e.preventDefault(); }
    } else if (e.key === "?" && keys) {
      if (!keys.open) keys.showModal();
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
