"use strict";
// The page of a report: draws the pictures, and keeps one state that all views share.
// State: filters (column -> text), sort, group, search, the trial whose story is open, menus and
// theme. It lives in the part of the URL after "#". All text enters the page as text, never as HTML,
// except the three parts that the report itself escaped.
(() => {
  const PAGE_ROWS = 100;
  const SHARES = /^(accuracy|accuracy_se|test_accuracy|fraction)$/;
  const $ = (id) => document.getElementById(id);
  const state = { filters: {}, sort: ["accuracy", -1], group: "", search: "", why: "", menus: {}, theme: "", differ: false, rows: PAGE_ROWS };
  const views = new Map();
  let data, trials, byId, chosen = null, brushed = {};

  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== false && value != null) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child != null));
    return node;
  };

  // Data ----------------------------------------------------------------------------

  async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  function rowsOf(columns) {
    const names = Object.keys(columns);
    const count = names.length ? columns[names[0]].length : 0;
    return Array.from({ length: count }, (_, i) => Object.fromEntries(names.map((name) => [name, columns[name][i]])));
  }

  function take(loaded) {
    data = loaded;
    trials = rowsOf(data.trials);
    byId = new Map(trials.map((row) => [row.id, row]));
    if (data.several && !data.fields.some((field) => field.name === "study")) {
      data.fields.splice(1, 0, { name: "study", title: "study", heading: "study", kind: "name", role: "text" });
    }
  }

  // Numbers -------------------------------------------------------------------------

  function shown(value, name) {
    if (value == null) return "";
    if (typeof value !== "number") return String(value);
    if (SHARES.test(name)) return (100 * value).toFixed(name === "fraction" ? 0 : name === "accuracy_se" ? 2 : 1) + "%";
    if (Number.isInteger(value)) return String(value);
    const size = Math.abs(value);
    if (size >= 1e6 || size < 1e-4) return value.toExponential(2);
    return String(Number(value.toPrecision(4)));
  }

  function duration(seconds) {
    if (seconds < 180) return Number(seconds.toPrecision(3)) + " s";
    return seconds < 7200 ? (seconds / 60).toFixed(1) + " min" : (seconds / 3600).toFixed(1) + " h";
  }

  // Filters -------------------------------------------------------------------------
  // "2..5", ">=2", "<5", "=3" compare numbers (percent where the column is in percent); "a|b" are
  // names; any other text must be part of the cell.

  const number = (text, name) => {
    const value = Number(text.replace("%", ""));
    return SHARES.test(name) ? value / 100 : value;
  };

  function test(name, text) {
    const range = text.match(/^\s*(-?[\d.eE+-]+%?)?\s*\.\.\s*(-?[\d.eE+-]+%?)?\s*$/);
    if (range) {
      const lo = range[1] ? number(range[1], name) : -Infinity, hi = range[2] ? number(range[2], name) : Infinity;
      return (value) => typeof value === "number" && value >= lo - 1e-12 && value <= hi + 1e-12;
    }
    const compared = text.match(/^\s*(>=|<=|>|<|=)\s*(-?[\d.eE+-]+%?)\s*$/);
    if (compared) {
      const limit = number(compared[2], name);
      const holds = { ">=": (v) => v >= limit, "<=": (v) => v <= limit, ">": (v) => v > limit, "<": (v) => v < limit, "=": (v) => Math.abs(v - limit) < 1e-12 };
      return (value) => typeof value === "number" && holds[compared[1]](value);
    }
    const names = text.toLowerCase().split("|").map((part) => part.trim()).filter(Boolean);
    const whole = names.length > 1;
    return (value) => {
      const cell = shown(value, name).toLowerCase();
      return names.some((part) => (whole ? cell === part : cell.includes(part)));
    };
  }

  function passing() {
    const tests = Object.entries(state.filters).filter(([, text]) => text).map(([name, text]) => [name, test(name, text)]);
    const words = state.search.toLowerCase();
    if (!tests.length && !words) return null;
    const names = data.fields.map((field) => field.name);
    return trials.filter((row) =>
      tests.every(([name, holds]) => holds(row[name])) &&
      (!words || names.some((name) => shown(row[name], name).toLowerCase().includes(words))));
  }

  function refresh({ table = true } = {}) {
    const rows = passing();
    chosen = rows && Object.assign(Object.create(null), Object.fromEntries(rows.map((row) => [row.id, true])));
    for (const view of views.values()) {
      if (view.hasChosen) view.view.signal("chosen", chosen).runAsync();
    }
    drawFilters(rows);
    if (table) drawTable(rows || trials);
    remember();
  }

  function drawFilters(rows) {
    const bar = $("filters");
    bar.replaceChildren();
    if (!rows) return;
    bar.append(make("span", {}, `${rows.length} of ${trials.length} models`));
    const drop = (text, clear) => bar.append(make("button", { type: "button", title: "Remove this filter", onclick: clear }, text + " ×"));
    for (const [name, text] of Object.entries(state.filters)) {
      if (text) drop(`${headingOf(name)}: ${text}`, () => { delete state.filters[name]; clearBrushes(name); refresh(); });
    }
    if (state.search) drop(`contains “${state.search}”`, () => { state.search = ""; refresh(); });
    bar.append(make("button", { type: "button", onclick: () => { state.filters = {}; state.search = ""; clearBrushes(); refresh(); } }, "Clear all"));
  }

  const headingOf = (name) => (data.fields.find((field) => field.name === name) || { heading: name }).heading;

  // Pictures ------------------------------------------------------------------------

  function setPath(spec, path, value) {
    const keys = path.split(".");
    const last = keys.pop();
    keys.reduce((node, key) => node[key], spec)[last] = value;
  }

  function fill(spec, width) {
    if (Array.isArray(spec)) spec.forEach((item) => fill(item, width));
    else if (spec && typeof spec === "object") {
      for (const [key, value] of Object.entries(spec)) {
        if (key === "width" && value === "container") spec[key] = width;
        else fill(value, width);
      }
    }
  }

  function room(name, spec, width) {
    // Axis labels and legends stand beside the plot; Vega fits them in only for single views.
    if (spec.vconcat) {
      const lanes = data.pictures[name].data.segments.worker;
      return Math.max(200, width - 30 - 6.5 * Math.max(...new Set(lanes.map((lane) => lane.length))));
    }
    return Math.max(200, width);
  }

  function dark() {
    return document.documentElement.dataset.theme === "dark";
  }

  async function draw(name, element) {
    const picture = data.pictures[name];
    const spec = structuredClone(picture.spec);
    for (const [menu, options] of Object.entries(picture.menus)) {
      const option = options[(state.menus[name] || {})[menu]];
      if (option) for (const [path, value] of Object.entries(option)) setPath(spec, path, structuredClone(value));
    }
    const width = element.clientWidth || 600;
    fill(spec, room(name, spec, width));
    spec.autosize = spec.vconcat ? { type: "pad" } : { type: "fit-x", contains: "padding" };
    spec.datasets = Object.fromEntries(Object.entries(picture.data).map(([key, columns]) => [key, rowsOf(columns)]));
    if (picture.trials) spec.datasets.trials = trials.map((row) => ({ ...row }));
    const config = data.config[dark() ? "dark" : "light"];
    const old = views.get(element);
    const result = await vegaEmbed(element, spec, {
      mode: "vega-lite", ast: true, actions: false, defaultStyle: false, config,
      renderer: picture.canvas ? "canvas" : "svg", tooltip: tip, logLevel: 1,
    });
    if (old) old.finalize();
    const { view } = result;
    const hasChosen = (spec.params || []).some((param) => param.name === "chosen");
    views.set(element, { name, view, hasChosen, width, finalize: () => result.finalize(), brush: JSON.stringify(spec).includes('"brush"') });
    if (hasChosen && chosen) view.signal("chosen", chosen).runAsync();
    if (views.get(element).brush) view.addSignalListener("brush", (_, value) => brush(name, value));
    view.addEventListener("click", (event, item) => {
      const id = item && item.datum && item.datum.id;
      if (id && byId.has(id) && !Object.keys(brushed[name] || {}).length) openWhy(id, true);
    });
    element.setAttribute("data-drawn", "true");
  }

  let pending;
  function brush(name, value) {
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(() => {
      for (const column of Object.keys(brushed[name] || {})) delete state.filters[column];
      brushed[name] = filtersOf(name, value || {});
      Object.assign(state.filters, brushed[name]);
      refresh();
    });
  }

  function filtersOf(name, value) {
    const made = {};
    if (name === "parallel") {
      if (!value.axis || !value.place) return made;
      const inside = data.pictures.parallel.data.points;
      const [lo, hi] = value.place;
      for (const axis of value.axis) {
        const rows = rowsOf(inside).filter((row) => row.axis === axis && row.place >= lo && row.place <= hi);
        if (!rows.length) continue;
        const column = rows[0].column;
        made[column] = between(column, rows.map((row) => byId.get(row.id)[column]));
      }
      return made;
    }
    for (const [key, range] of Object.entries(value)) {
      const column = key.replaceAll("\\", "");
      if (range && range.length) made[column] = between(column, range);
    }
    return made;
  }

  function between(column, values) {
    if (values.some((value) => typeof value !== "number")) {
      const names = [...new Set(values.map(String))];
      return names.length > 1 ? names.join("|") : names[0] + "|" + names[0];
    }
    const scale = SHARES.test(column) ? 100 : 1;
    const write = (value) => String(Number((scale * value).toPrecision(5)));
    return write(Math.min(...values)) + ".." + write(Math.max(...values));
  }

  function clearBrushes(column) {
    for (const [name, filters] of Object.entries(brushed)) {
      if (column && !(column in filters)) continue;
      brushed[name] = {};
      for (const [element, view] of views) if (view.name === name) draw(name, element);
    }
  }

  function tip(handler, event, item, value) {
    const box = $("tip");
    const datum = item && item.datum;
    if (value == null || value === "" || !datum) { box.hidden = true; return; }
    const row = byId.get(datum.id);
    const list = make("dl");
    const add = (name, text) => { if (text !== "" && text != null) list.append(make("dt", {}, name), make("dd", {}, text)); };
    if (datum.kind) add(datum.kind, duration(secondsOf(datum)));
    if (datum.stage) add(datum.stage, duration(datum.seconds));
    if (datum.measure) { add("trained", shown(datum.fraction, "fraction")); add(datum.measure, shown(datum.value, datum.measure)); }
    if (datum.what) add("event", datum.what);
    if (row) {
      if (data.several) add("study", row.study);
      add("status", row.status);
      for (const field of data.fields) {
        if (field.role === "varied" || ["alpha", "rankme", "accuracy", "test_accuracy"].includes(field.name)) add(field.heading, shown(row[field.name], field.name));
      }
    }
    box.replaceChildren(make("b", {}, row ? row.trial_id : datum.study || "worker is idle"), list);
    box.hidden = false;
    const margin = 14, { clientX, clientY } = event;
    box.style.left = Math.max(4, Math.min(clientX + margin, innerWidth - box.offsetWidth - 8)) + "px";
    box.style.top = Math.max(4, Math.min(clientY + margin, innerHeight - box.offsetHeight - 8)) + "px";
  }

  function secondsOf(datum) {
    const unit = data.pictures.timeline.spec.vconcat[data.pictures.timeline.spec.vconcat.length - 1].encoding;
    const title = (unit ? unit.x : data.pictures.timeline.spec.vconcat[0].layer[0].encoding.x).title || "";
    const size = { days: 86400, hours: 3600, minutes: 60 }[title.split(" ")[0]] || 1;
    return (datum.ended - datum.began) * size;
  }

  function figure(name) {
    const picture = data.pictures[name];
    const view = make("div", { class: "view", role: "group", "aria-label": picture.title });
    const menus = make("div", { class: "menus" });
    for (const [menu, options] of Object.entries(picture.menus)) {
      const names = Object.keys(options);
      if (names.length < 2) continue;
      const select = make("select", { "aria-label": `${menu} of ${picture.title}`, onchange: (event) => {
        state.menus[name] = { ...state.menus[name], [menu]: event.target.value };
        for (const column of Object.keys(brushed[name] || {})) delete state.filters[column];
        brushed[name] = {};
        draw(name, view).then(() => refresh());
      } });
      const now = (state.menus[name] || {})[menu] || names[0];
      for (const option of names) select.append(make("option", { value: option, selected: option === now }, headingOf(option)));
      menus.append(make("label", {}, menu, select));
    }
    return [make("figure", { id: "picture-" + name, class: picture.wide ? "wide" : "" },
      make("figcaption", {}, make("h2", {}, picture.title), menus), view,
      make("p", { class: "note" }, picture.note)), view];
  }

  async function drawPictures() {
    for (const view of views.values()) view.finalize();
    views.clear();
    const places = [];
    const holder = $("pictures");
    holder.replaceChildren();
    for (const name of Object.keys(data.pictures)) {
      if (name === "budget") {
        const place = document.querySelector("[data-picture=budget]");
        if (place) { place.className = "view"; places.push([name, place]); }
        continue;
      }
      const [element, view] = figure(name);
      holder.append(element);
      places.push([name, view]);
    }
    places.sort((a, b) => (a[0] === "budget") - (b[0] === "budget"));
    for (const [name, view] of places) {
      await draw(name, view);
      if (!performance.getEntriesByName("first-picture").length) performance.mark("first-picture");
      await new Promise((next) => setTimeout(next));
    }
    performance.mark("all-pictures");
    document.documentElement.dataset.ready = "true";
  }

  // Table ---------------------------------------------------------------------------

  function columns() {
    const made = data.fields.filter((field) => !["accuracy_se"].includes(field.name) || trials.length);
    if (!state.differ) return made;
    return made.filter((field) => field.name === "trial_id" || new Set(trials.map((row) => String(row[field.name]))).size > 1);
  }

  function sorted(rows) {
    const [name, way] = state.sort;
    const known = rows.filter((row) => row[name] != null), rest = rows.filter((row) => row[name] == null);
    known.sort((a, b) => {
      const [x, y] = [a[name], b[name]];
      return way * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)));
    });
    return [...known, ...rest];
  }

  function drawTable(rows) {
    const shownColumns = columns();
    const best = trials.find((row) => row.winner);
    const focus = document.activeElement && document.activeElement.dataset.filter;
    const head = make("tr", {}, ...shownColumns.map((field) => {
      const active = state.sort[0] === field.name;
      const order = active ? (state.sort[1] > 0 ? "ascending" : "descending") : "none";
      const arrow = active ? (state.sort[1] > 0 ? " ↑" : " ↓") : "";
      const filter = make("input", { type: "text", "data-filter": field.name, "aria-label": "filter " + field.title, placeholder: field.kind === "number" ? "lo..hi" : "text", oninput: (event) => {
        state.filters[field.name] = event.target.value;
        if (!event.target.value) delete state.filters[field.name];
        refresh();
      } });
      filter.value = state.filters[field.name] || "";
      return make("th", { scope: "col", "aria-sort": order, class: field.kind === "number" ? "n" : "", title: field.title },
        make("button", { type: "button", onclick: () => {
          const way = active ? -state.sort[1] : field.kind === "number" ? -1 : 1;
          state.sort = [field.name, way];
          refresh();
        } }, field.heading + arrow), filter);
    }));
    const body = make("tbody");
    let left = state.rows;
    for (const [label, members] of groups(sorted(rows))) {
      if (left <= 0) break;
      if (label != null) body.append(groupRow(label, members, shownColumns.length));
      for (const row of members.slice(0, left)) {
        body.append(tableRow(row, shownColumns, best));
        if (state.why === row.id) body.append(whyRow(row, shownColumns.length));
      }
      left -= members.length;
    }
    const more = rows.length > state.rows
      ? make("p", {}, make("button", { type: "button", id: "more", onclick: () => { state.rows += 5 * PAGE_ROWS; refresh(); } }, `Show more of ${rows.length} models`))
      : null;
    const table = make("table", { class: "trials" }, make("thead", {}, head), body);
    const scroll = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of trials" }, table);
    const before = document.querySelector("#table .scroll");
    const left_ = before ? before.scrollLeft : 0;
    const parts = [bar(rows), scroll];
    if (more) parts.push(more);
    $("table").replaceChildren(...parts);
    scroll.scrollLeft = left_;
    if (focus) {
      const input = document.querySelector(focus === "search" ? "#search" : `[data-filter="${CSS.escape(focus)}"]`);
      if (input) { input.focus(); input.setSelectionRange(input.value.length, input.value.length); }
    }
  }

  function groups(rows) {
    if (!state.group) return [[null, rows]];
    const made = new Map();
    for (const row of rows) {
      const label = shown(row[state.group], state.group) || "—";
      if (!made.has(label)) made.set(label, []);
      made.get(label).push(row);
    }
    return made;
  }

  function groupRow(label, members, span) {
    const known = members.map((row) => row.accuracy).filter((value) => value != null);
    const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
    const about = known.length ? `; accuracy: mean ${shown(mean, "accuracy")}, best ${shown(Math.max(...known), "accuracy")} of ${known.length} probed` : "";
    return make("tr", { class: "group" }, make("td", { colspan: span }, `${headingOf(state.group)} = ${label}: ${members.length} models${about}`));
  }

  function tableRow(row, shownColumns, best) {
    return make("tr", { class: row.winner ? "best" : "", "data-id": row.id }, ...shownColumns.map((field) => {
      const value = row[field.name];
      if (field.name === "trial_id") {
        const open = state.why === row.id;
        return make("td", {}, make("button", { type: "button", "aria-expanded": String(open), title: "Why? The decisions about this trial", onclick: () => openWhy(open ? "" : row.id) }, String(value) + (row.winner ? " ★" : row.tie ? " ≈" : "")));
      }
      const differs = state.differ && best && field.role === "varied" && row !== best && value !== best[field.name];
      const kind = [field.kind === "number" ? "n" : "", differs ? "differs" : "", field.name === "reason" ? "reason" : ""].join(" ").trim();
      return make("td", { class: kind, title: field.name === "reason" && value ? String(value) : false }, shown(value, field.name));
    }));
  }

  function whyRow(row, span) {
    const events = data.story[row.id] || [];
    const table = make("table", {}, make("thead", {}, make("tr", {}, ...["event", "after", "what", "content", "models probed", "best so far", "zone of alpha"].map((name) => make("th", {}, name)))),
      make("tbody", {}, ...events.map(([seq, time, event, what, known, best, zone]) => make("tr", {}, ...[seq, duration(time), event, what, known, shown(best, "accuracy"), zone].map((cell) => make("td", {}, String(cell ?? "")))))));
    return make("tr", { class: "why" }, make("td", { colspan: span }, make("b", {}, `Why: ${row.trial_id}`), make("span", { class: "soft" }, "  each event about this trial, with what the rule knew then"), table));
  }

  function openWhy(id, scroll = false) {
    state.why = id;
    refresh();
    let found = document.querySelector(`tr[data-id="${CSS.escape(id)}"]`);
    if (id && !found) { state.rows = trials.length; refresh(); found = document.querySelector(`tr[data-id="${CSS.escape(id)}"]`); }
    if (scroll && found) found.scrollIntoView({ block: "center" });
    else if (found) found.querySelector("button").focus();
  }

  function bar(rows) {
    const search = make("input", { id: "search", type: "search", "data-filter": "search", placeholder: "search", "aria-label": "search all columns", oninput: (event) => { state.search = event.target.value; refresh(); } });
    search.value = state.search;
    const group = make("select", { "aria-label": "group by", onchange: (event) => { state.group = event.target.value; refresh(); } }, make("option", { value: "" }, "no groups"),
      ...data.fields.filter((field) => ["varied", "text"].includes(field.role) && !["trial_id", "reason"].includes(field.name)).map((field) => make("option", { value: field.name, selected: state.group === field.name }, field.heading)));
    const differ = make("input", { type: "checkbox", id: "differ", onchange: (event) => { state.differ = event.target.checked; refresh(); } });
    differ.checked = state.differ;
    return make("div", { class: "bar" }, make("label", {}, search), make("label", {}, "group by", group),
      make("label", {}, differ, "only columns that differ, and mark what differs from the winner"),
      make("button", { type: "button", id: "csv", onclick: () => save(rows) }, "Download CSV"),
      make("span", { class: "count" }, `${rows.length} of ${trials.length} models`));
  }

  function save(rows) {
    const names = data.fields.map((field) => field.name);
    const cell = (value) => {
      let text = value == null ? "" : String(value);
      if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = "'" + text; // no formula for a spreadsheet
      return /[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
    };
    const text = [names.join(","), ...sorted(rows).map((row) => names.map((name) => cell(row[name])).join(","))].join("\n");
    const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: "trials.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  // The URL and the theme -----------------------------------------------------------

  function remember() {
    const words = new URLSearchParams();
    for (const [name, text] of Object.entries(state.filters)) if (text) words.set("f." + name, text);
    for (const [name, menus] of Object.entries(state.menus)) for (const [menu, option] of Object.entries(menus)) words.set(`m.${name}.${menu}`, option);
    if (state.sort.join() !== "accuracy,-1") words.set("sort", state.sort.join(","));
    for (const name of ["group", "search", "why", "theme"]) if (state[name]) words.set(name, state[name]);
    if (state.differ) words.set("differ", "1");
    const hash = words.toString();
    history.replaceState(null, "", hash ? "#" + hash : location.pathname + location.search);
  }

  function recall() {
    for (const [key, value] of new URLSearchParams(location.hash.slice(1))) {
      if (key.startsWith("f.")) state.filters[key.slice(2)] = value;
      else if (key.startsWith("m.")) {
        const [, name, menu] = key.split(".");
        state.menus[name] = { ...state.menus[name], [menu]: value };
      } else if (key === "sort") {
        const [name, way] = value.split(",");
        state.sort = [name, way === "1" ? 1 : -1];
      } else if (["group", "search", "why", "theme"].includes(key)) state[key] = value;
      else if (key === "differ") state.differ = true;
    }
  }

  const system = matchMedia("(prefers-color-scheme: dark)");
  function applyTheme() {
    document.documentElement.dataset.theme = state.theme || (system.matches ? "dark" : "light");
    $("theme").textContent = dark() ? "Light theme" : "Dark theme";
  }

  const redraw = () => Promise.all([...views].map(([element, view]) => draw(view.name, element)));

  // Start ---------------------------------------------------------------------------

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const code = button.parentElement.querySelector("code");
    try { await navigator.clipboard.writeText(code.textContent); button.textContent = "Copied"; }
    catch { getSelection().selectAllChildren(code); button.textContent = "Selected"; }
  });
  addEventListener("hashchange", () => { Object.assign(state, { filters: {}, group: "", search: "", why: "" }); recall(); refresh(); });
  let resizing;
  addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(() => { for (const [element, view] of views) if (Math.abs(element.clientWidth - view.width) > 8) draw(view.name, element); }, 200);
  });
  $("theme").addEventListener("click", () => { state.theme = dark() ? "light" : "dark"; applyTheme(); remember(); redraw(); });
  system.addEventListener("change", () => { applyTheme(); redraw(); });

  async function start() {
    recall();
    applyTheme();
    take(await unpacked($("data").textContent));
    refresh();
    await drawPictures();
  }

  window.sweepReport = {
    state, views, refresh,
    load: async (text) => {
      take(await unpacked(text));
      for (const [part, html] of Object.entries(data.parts)) $(part).innerHTML = html;
      refresh();
      await drawPictures();
    },
  };

  // Live ----------------------------------------------------------------------------
  // A page of `sweep view` loads its data again when the log has grown, once at a time.

  function follow(news) {
    const place = document.createElement("span");
    place.id = "live";
    place.setAttribute("role", "status");
    $("theme").before(place);
    const words = { driver: "", lost: false };
    const tell = () => { place.textContent = words.lost ? "The server does not answer." : words.driver; };
    let shown = null, wanted = null, busy = false;
    async function renew() {
      if (busy) return;
      busy = true;
      while (wanted !== shown) {
        const version = wanted;
        const answer = await fetch(news.replace("/news/", "/data/"), { cache: "no-store" });
        if (!answer.ok) break;
        await window.sweepReport.load(await answer.text());
        shown = version;
        document.documentElement.dataset.version = version;
      }
      busy = false;
    }
    const source = new EventSource(news);
    source.addEventListener("log", (event) => { wanted = event.data; words.lost = false; tell(); renew().catch(() => { busy = false; }); });
    source.addEventListener("driver", (event) => { words.driver = event.data; words.lost = false; tell(); });
    source.addEventListener("error", () => { words.lost = true; tell(); });
  }

  const live = document.querySelector("header.top").dataset.live;
  start().then(() => { if (live) follow(live); });
})();
