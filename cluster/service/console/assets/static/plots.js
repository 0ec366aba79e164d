// Draws the last hour in place of the pictures that the page brings, and keeps
// it up to date. Without it the pictures stay.
"use strict";
(() => {
  const figures = [...document.querySelectorAll("[data-plot]")];
  if (!figures.length || typeof uPlot === "undefined") return;
  const lines = { requests: ["Requests"], latency: ["P50", "P99"], commits: ["Commits"], lag: ["Lag"] };
  const names = { Requests: "requests/s", P50: "p50", P99: "p99", Commits: "commits/s", Lag: "entries" };
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const utc = (s) => new Date(s * 1000).toISOString().slice(11, 19) + " UTC";
  const number = (v) => (v === null || v === undefined ? "–" : v.toLocaleString("en-US", { maximumSignificantDigits: 3 }));
  let leaders = [];
  const marks = (u) => {
    u.ctx.save();
    u.ctx.strokeStyle = color("--warn");
    u.ctx.lineWidth = 2;
    u.ctx.setLineDash([4, 3]);
    for (const m of leaders) {
      const x = u.valToPos(m.At, "x", true);
      u.ctx.beginPath();
      u.ctx.moveTo(x, u.bbox.top);
      u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
      u.ctx.stroke();
    }
    u.ctx.restore();
  };
  const make = (figure, data) => {
    const kinds = lines[figure.dataset.plot];
    const picture = figure.querySelector("svg");
    const axis = { stroke: color("--dim"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line"), width: 1 }, font: "11px system-ui, sans-serif" };
    const plot = new uPlot({
      width: figure.clientWidth - 2, height: 150, tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
      cursor: { y: false, points: { size: 5 }, sync: { key: "hour" } }, legend: { live: true },
      scales: { x: { range: (u, min, max) => [(max ?? Date.now() / 1000) - 3600, max ?? Date.now() / 1000] }, y: { range: (u, min, max) => [0, Math.max(max ?? 0, 1) * 1.1] } },
      axes: [{ ...axis, space: 60, values: (u, at) => at.map((s) => new Date(s * 1000).toISOString().slice(11, 16)) }, { ...axis, size: 46, space: 28 }],
      series: [{ label: "at", value: (u, v) => (v === null ? "–" : utc(v)) }, ...kinds.map((kind, i) => ({
        label: names[kind], stroke: color(i ? "--warn" : "--accent"), width: 1.5, points: { show: false }, value: (u, v) => number(v) }))],
      hooks: { draw: [marks] },
    }, data, figure);
    picture.setAttribute("hidden", "");
    return plot;
  };
  let plots = new Map();
  const load = async () => {
    const reply = await fetch("/history").catch(() => null);
    if (!reply || !reply.ok) return;
    const hour = await reply.json();
    leaders = hour.Leaders;
    if (!hour.At.length) return;
    for (const figure of figures) {
      const data = [hour.At, ...lines[figure.dataset.plot].map((kind) => hour[kind])];
      if (plots.has(figure)) plots.get(figure).setData(data);
      else plots.set(figure, make(figure, data));
    }
  };
  const again = () => { for (const p of plots.values()) p.destroy(); plots = new Map(); load(); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  let size = null;
  window.addEventListener("resize", () => { clearTimeout(size); size = setTimeout(again, 200); });
  load();
  setInterval(load, 10000);
})();
