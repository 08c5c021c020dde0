"use strict";
(() => {
  const root = document.documentElement;
  const asked = new URLSearchParams(location.search).get("theme");
  if (asked === "dark" || asked === "light") root.dataset.theme = asked;
  const isDark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const button = document.querySelector(".theme");
  const name = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.hidden = false;
  name();
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; name(); });
  // What a link points to must not hide in a closed part of the page.
  addEventListener("beforeprint", () => { if (isDark()) root.dataset.theme = "light"; });

  const timeline = document.querySelector(".timeline");
  const holder = document.getElementById("data");
  if (!timeline || !holder) return;
  const data = JSON.parse(holder.textContent);
  const overlay = timeline.querySelector(".overlay");
  const cross = timeline.querySelector(".cross");
  const readout = document.querySelector(".readout");
  document.querySelector(".scripted").hidden = false;
  let second = -1;

  const figure = (value, unit) => {
    if (value === null || value === undefined) return "–";
    if (unit === "ms") return value >= 10000 ? (value / 1000).toFixed(1) + " s" : value.toPrecision(3) * 1 + " ms";
    if (unit.startsWith("%")) return value.toFixed(0) + " %";
    return String(Math.round(value * 10) / 10);
  };
  const cell = (row, text) => { row.insertCell().textContent = text; };
  const show = (t) => {
    second = Math.max(0, Math.min(data.extent - 0.001, t));
    const box = overlay.getBoundingClientRect();
    cross.style.left = box.left - timeline.getBoundingClientRect().left + (second / data.extent) * box.width + "px";
    cross.hidden = readout.hidden = false;
    const bucket = Math.floor(second / data.bucket);
    const phase = data.phases.find((p) => p[1] <= second && second < p[2]);
    const head = document.createElement("p");
    head.className = "head";
    const from = bucket * data.bucket;
    head.textContent = (data.bucket > 1 ? `${from}–${from + data.bucket} s` : `second ${from}`) + (phase ? ` · ${phase[0]}` : "");
    const table = document.createElement("table");
    for (const lane of data.lanes) {
      const title = table.insertRow();
      title.className = "lane-name";
      cell(title, lane.title);
      title.cells[0].colSpan = 2;
      let lines = 0;
      for (const [label, , values] of lane.layers) {
        if (lane.layers.length > 3 && !values[bucket]) continue;
        const row = table.insertRow();
        cell(row, label);
        cell(row, figure(values[bucket], lane.unit));
        lines++;
      }
      for (const [label, marks] of lane.rows) {
        const now = marks.filter((m) => m[0] <= second + 0.5 && second + 0.5 <= Math.max(m[1], m[0] + 1)).pop();
        if (!now) continue;
        const row = table.insertRow();
        cell(row, label);
        cell(row, now[2]);
        lines++;
      }
      if (!lines) title.remove();
    }
    readout.replaceChildren(head, table);
    readout.classList.toggle("left", second > data.extent / 2);
  };
  const hide = () => { cross.hidden = readout.hidden = true; };
  const at = (event) => {
    const box = overlay.getBoundingClientRect();
    const t = ((event.clientX - box.left) / box.width) * data.extent;
    if (t < 0 || t > data.extent) hide(); else show(Math.floor(t / data.bucket) * data.bucket);
  };
  timeline.addEventListener("pointermove", at);
  timeline.addEventListener("pointerdown", at);
  timeline.addEventListener("pointerleave", hide);
  timeline.addEventListener("blur", hide);
  timeline.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageDown: 10, PageUp: -10 }[event.key];
    if (event.key === "Escape") hide();
    else if (event.key === "Home") show(0);
    else if (event.key === "End") show(data.extent);
    else if (step) show((second < 0 ? 0 : second) + step * data.bucket);
    else return;
    event.preventDefault();
  });
  const probe = new URLSearchParams(location.search).get("at");
  if (probe) show(Number(probe));
})();
