"use strict";
// Draws what /live sends; values are shown as the device gave them. No library, nothing loaded from elsewhere.
const $ = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en");
const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
let device = null, cards = [], classes = [], hues = [], dots = [], won = new Map(), only = new Set();

const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const words = (text) => {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Int16Array(bytes.buffer);
};
const percent = (value) => (value === null || Number.isNaN(value) ? "–" : `${(100 * value).toFixed(2)} %`);
const set = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };

function prepare(view) {
  device = view.device;
  hues = device.hues;
  only = new Set();
  won = new Map();
  const [off, on] = device.polarity_hues;
  const kinds = device.surfaces > 1 || device.signed ? [["brighter", on], ["darker", off]] : [["events", ink("--ink")]];
  const ages = [0, 1, 2, 3].map((n) => (device.tau_ms ? `${Number((n * device.tau_ms).toPrecision(3))} ms` : n ? `${n} τ` : "0"));
  $("keys").replaceChildren(...kinds.map(([name, hue]) => {
    const steps = [0, 1, 2, 3, 4, 5, 6].map((n) => `color-mix(in srgb, ${hue} ${100 * Math.exp(-n / 2)}%, var(--well))`);
    return colourBar(`${name}: age of a pixel's last event`, steps, ages);
  }));
  $("port").textContent = `${device.port} · ${device.features} features of ${device.side}×${device.side}, build ${device.build_id}`;
  $("cards").replaceChildren();
  cards = hues.map((hue, n) => {
    const card = document.createElement("div");
    card.className = "card";
    card.style.setProperty("--hue", hue);
    const image = document.createElement("canvas");
    image.width = image.height = device.side;
    image.title = `feature ${n}`;
    const name = document.createElement("button"), swatch = document.createElement("i");
    name.className = "name";
    name.setAttribute("aria-pressed", "false");
    name.setAttribute("aria-label", `feature ${n}: show its events alone`);
    name.append(swatch, `${n}`);
    name.onclick = () => {
      if (!only.delete(n)) only.add(n);
      name.setAttribute("aria-pressed", only.has(n));
      card.classList.toggle("chosen", only.has(n));
    };
    const line = document.createElement("p");
    const threshold = document.createElement("span"), wins = document.createElement("span");
    threshold.id = `threshold-${n}`;
    wins.id = `wins-${n}`;
    threshold.title = "selection threshold";
    wins.title = "events won";
    line.append("θ ", threshold, document.createElement("br"), wins, " won");
    const bar = document.createElement("div"), fill = document.createElement("i");
    bar.className = "bar";
    bar.append(fill);
    card.append(name, image, line, bar);
    $("cards").append(card);
    return { image, threshold, wins, fill };
  });
  $("classes").hidden = device.labels.length === 0;
  classes = device.labels.map((label, n) => {
    const row = document.createElement("tr"), head = document.createElement("th");
    const bar = document.createElement("div"), fill = document.createElement("i"), score = document.createElement("td");
    head.textContent = label;
    head.scope = "row";
    bar.className = "bar";
    bar.append(fill);
    score.id = `score-${n}`;
    row.append(head, bar, score);
    return { row, fill, score };
  });
  $("scores").replaceChildren(...classes.map(({ row }) => row));
  $("scene").style.aspectRatio = `${device.sensor[0]} / ${device.sensor[1]}`;
}

function colourBar(name, steps, ticks) {
  const bar = document.createElement("div"), strip = document.createElement("i");
  bar.className = "colourbar";
  strip.style.background = `linear-gradient(90deg, ${steps.join(", ")})`;
  bar.append(textSpan([name]), strip, textSpan(ticks));
  return bar;
}

function textSpan(parts) {
  const line = document.createElement("span");
  line.append(...parts.map((part) => { const each = document.createElement("b"); each.textContent = part; return each; }));
  return line;
}

// The size below which a share of all values lies, between two of them in proportion.
function quantile(values, share) {
  const sorted = Float64Array.from(values, Math.abs).sort(), at = share * (sorted.length - 1), low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return (sorted[low] + (sorted[high] - sorted[low]) * (at - low)) || sorted[sorted.length - 1] || 1;
}

function mapped(map, share) {
  const at = Math.min(1, Math.max(0, share)) * (map.length - 1), low = Math.min(Math.floor(at), map.length - 2);
  return map[low].map((value, i) => value + (map[low + 1][i] - value) * (at - low));
}

function drawFeatures(view) {
  const side = device.side, weights = words(view.weights);
  const end = quantile(weights, device.scale_share), signed = weights.some((value) => value < 0);
  const stops = device.maps[signed ? 1 : 0], map = stops.map(rgb);
  $("weight-map").style.background = `linear-gradient(90deg, ${stops.join(", ")})`;
  const most = (end / 32768).toPrecision(2);
  $("weight-ticks").replaceChildren(...textSpan([...(signed ? [`−${most} and below`] : []), "0", `${most} and above`]).childNodes);
  cards.forEach((card, n) => {
    const context = card.image.getContext("2d"), image = context.createImageData(side, side);
    const own = weights.subarray(n * side * side, (n + 1) * side * side);
    own.forEach((value, i) => {
      image.data.set([...mapped(map, signed ? (value / end + 1) / 2 : value / end), 255], 4 * i);
    });
    context.putImageData(image, 0, 0);
  });
}

// As in the report: the colour of the polarity, fading with age; the newest event has its full colour.
function drawSurface(view, context, canvas) {
  const [width, height] = device.sensor, values = words(view.surface), plane = new OffscreenCanvas(width, height);
  const inner = plane.getContext("2d"), image = inner.createImageData(width, height);
  const [off, on] = device.polarity_hues.map(rgb), plain = rgb(ink("--ink"));
  let top = 1;
  for (const value of values) top = Math.max(top, Math.abs(value));
  for (let i = 0; i < width * height; i++) {
    const first = values[i], second = device.surfaces > 1 ? values[i + width * height] : 0;
    const level = Math.max(Math.abs(first), Math.abs(second)) / top;
    let hue = device.signed ? (first < 0 ? off : on) : plain;
    if (device.surfaces > 1) hue = second > first ? on : off;
    image.data.set([...hue, 255 * level], 4 * i);
  }
  inner.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(plane, 0, 0, canvas.width, canvas.height);
}

function drawScene(view) {
  const canvas = $("scene"), [width, height] = device.sensor;
  const scale = Math.max(1, Math.ceil(Math.min(1200, canvas.clientWidth * devicePixelRatio) / width));
  if (canvas.width !== width * scale) { canvas.width = width * scale; canvas.height = height * scale; }
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (view.surface) drawSurface(view, context, canvas);
  const now = performance.now();
  if (view.drawn.length && view.version !== drawScene.seen) {
    dots = dots.filter((dot) => now - dot.at < 350).concat({ at: now, events: view.drawn }).slice(-6);
    drawScene.seen = view.version;
    for (const [x, y, result] of [...view.drawn].reverse()) if (result >= 0) won.set(y * width + x, result);
  }
  for (const { at, events } of dots) {
    context.globalAlpha = reduced ? 0.8 : Math.max(0, 0.95 - (now - at) / 380);
    for (const [x, y, result] of events) {
      if (result < 0 || (only.size && !only.has(result))) continue;
      context.fillStyle = hues[result];
      context.beginPath();
      context.arc((x + 0.5) * scale, (y + 0.5) * scale, Math.max(1.5, 0.24 * scale), 0, 7);
      context.fill();
    }
  }
  context.globalAlpha = 1;
}

$("scene").onpointermove = (event) => {
  if (!device) return;
  const box = $("scene").getBoundingClientRect(), [width, height] = device.sensor;
  const x = Math.floor(((event.clientX - box.left) / box.width) * width), y = Math.floor(((event.clientY - box.top) / box.height) * height);
  const last = won.get(y * width + x);
  set("under", `pixel ${x}, ${y}: ${last === undefined ? "no feature event seen" : `last seen feature ${last}`}`);
};

// A step of 1, 2 or 5 times a power of ten, so that at most `most` of them make `span`.
function roundStep(span, most) {
  const power = 10 ** Math.floor(Math.log10(span / most));
  return power * [1, 2, 5, 10].find((step) => step * power * most >= span * (1 - 1e-9));
}

function chartOf(id) {
  const canvas = $(id), ratio = devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = canvas.clientHeight * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = "12px system-ui, DejaVu Sans, sans-serif";
  return [context, canvas.clientWidth, canvas.clientHeight];
}

const inMs = (value) => (value >= 1000 ? `${value / 1000} s` : `${value} ms`);
function drawLatencies(view) {
  const found = view.latency;
  set("latency", found ? `${found.median.toFixed(1)} ms` : "–");
  if (!found) return;
  const [context, width, height] = chartOf("latencies"), { edges, counts } = found;
  const left = 8, right = width - 8, bottom = height - 22, most = Math.max(1, ...counts);
  const first = Math.max(0, counts.findIndex((n) => n) - 1), last = Math.min(counts.length - 1, counts.findLastIndex((n) => n) + 1);
  const bar = (right - left) / (last - first + 1);
  context.textAlign = "center";
  for (let i = first; i <= last; i++) {
    const high = (counts[i] / most) * (bottom - 18), at = left + (i - first) * bar;
    context.fillStyle = ink("--accent");
    context.fillRect(at + 1, bottom - high, bar - 2, high);
    context.fillStyle = ink("--quiet");
    if (counts[i]) context.fillText(`${Math.max(1, Math.round((100 * counts[i]) / found.samples))} %`, at + bar / 2, bottom - high - 4);
    if (i > first) context.fillText(inMs(edges[i]), at, height - 6);
  }
  context.fillRect(left, bottom, right - left, 1);
  set("latency-words", `median ${found.median} ms, 90 % within ${found.p90} ms, 99 % within ${found.p99} ms, longest ${found.largest} ms; the last ${whole.format(found.samples)} writes`);
}

const LATE_S = 0.25;
function showPace(view) {
  const lag = view.lag_s;
  const late = lag != null && lag > LATE_S && view.state !== "paused";
  set("lag", lag == null ? "no pace" : late ? `${lag.toFixed(1)} s` : "no");
  $("lag").title = lag == null ? "the recording is sent as fast as the device takes it" : "results against the times of the events";
  $("lag").className = late ? "late" : "";
  const kilo = (bytes) => `${(bytes / 1000).toFixed(1)} kB/s`, { traffic, line } = view;
  if (!traffic) return;
  const share = line ? `, ${Math.round((100 * Math.max(traffic.out, traffic.in)) / line)} % of the ${kilo(line)} that the line carries each way` : "";
  const carried = `The link carries ${kilo(traffic.out)} to the device and ${kilo(traffic.in)} back${share}.`;
  const why = view.rate === undefined ? "" : ` The stream is ${lag == null ? "" : `${lag.toFixed(1)} s `}behind real time: more events are due than the ${whole.format(Math.round(view.rate))} a second that come through.`;
  set("traffic", carried + (late ? why : ""));
}

function drawChart(view) {
  const [context, width, height] = chartOf("chart");
  const points = view.misses, law = device.law;
  const left = 52, right = width - 12, top = 10, bottom = height - 24;
  let high = Math.max(0.02, law === null ? 0 : 2.2 * law);
  for (const [, rate] of points) high = Math.max(high, 1.1 * rate);
  const step = roundStep(Math.min(1, high), 4), steps = Math.ceil(Math.min(1, high) / step - 1e-9);
  high = step * steps;
  const y = (rate) => bottom - (rate / high) * (bottom - top);
  context.fillStyle = ink("--quiet");
  context.strokeStyle = ink("--line");
  context.textAlign = "right";
  for (let i = 0; i <= steps; i++) {
    const rate = step * i;
    context.beginPath();
    context.moveTo(left, y(rate));
    context.lineTo(right, y(rate));
    context.stroke();
    context.fillText(`${Number((100 * rate).toPrecision(3))} %`, left - 6, y(rate) + 4);
  }
  if (points.length > 1) {
    const first = points[0][0], last = points[points.length - 1][0];
    const x = (events) => left + ((events - first) / Math.max(1, last - first)) * (right - left);
    const pace = roundStep(Math.max(1, last - first), width < 420 ? 3 : 6);
    context.textAlign = "center";
    for (let at = Math.ceil(first / pace) * pace; at <= last; at += pace) {
      context.fillRect(x(at), bottom, 1, 4);
      const end = x(at) > right - 70;
      context.textAlign = end ? "right" : "center";
      context.fillText(whole.format(at), Math.min(x(at), right), height - 6);
    }
    context.strokeStyle = ink("--accent");
    context.lineWidth = 1.8;
    context.lineJoin = "round";
    context.beginPath();
    points.forEach(([events, rate], i) => (i ? context.lineTo(x(events), y(rate)) : context.moveTo(x(events), y(rate))));
    context.stroke();
  }
  if (law !== null) {
    context.strokeStyle = context.fillStyle = ink("--warm");
    context.setLineDash([5, 5]);
    context.lineWidth = 1.3;
    context.beginPath();
    context.moveTo(left, y(law));
    context.lineTo(right, y(law));
    context.stroke();
    context.setLineDash([]);
    context.textAlign = "left";
    context.fillText(`expected ${percent(law)}`, left + 6, y(law) - 5);
  }
}

function show(view) {
  if (!device || device.build_id !== view.device.build_id) prepare(view);
  const signals = view.signals;
  set("events", whole.format(view.events));
  set("rate", view.rate === undefined ? "–" : whole.format(Math.round(view.rate)));
  drawLatencies(view);
  showPace(view);
  const canMiss = view.learning || device.select_threshold;
  for (const each of document.querySelectorAll(".missing")) each.hidden = !canMiss;
  $("frozen").hidden = canMiss;
  set("unused", canMiss ? "" : "; not used while the nearest feature wins");
  set("law", percent(device.law));
  set("note", view.note || "");
  $("lamp").className = `lamp ${view.state === "paused" ? "paused" : view.state === "stopped" ? "" : "on"}`;
  press("pause", view.state === "paused", "Resume", "Pause");
  press("learn", view.learning, "Learning", "Learn");
  press("record", view.recording_to != null, "Recording", "Record");
  if (signals) {
    const compared = signals.hits + signals.misses;
    set("miss", compared ? percent(signals.misses / compared) : "–");
    const most = Math.max(1, ...view.wins);
    cards.forEach((card, n) => {
      card.threshold.textContent = view.thresholds[n].toFixed(4);
      card.wins.textContent = whole.format(view.wins[n]);
      card.fill.style.width = `${(100 * view.wins[n]) / most}%`;
    });
    const drawn = view.drawn.length;
    set("thinned", drawn ? `${whole.format(drawn)} events drawn; every event is processed` : "");
    if (canMiss) drawChart(view);
    counters(view);
  }
  if (view.scores) drawScores(view);
  if (view.weights && view.weights !== show.weights) { show.weights = view.weights; drawFeatures(view); }
  if (view.drawn) drawScene(view);
  document.body.dataset.events = view.events;
  document.body.dataset.device = signals ? JSON.stringify(signals) : "";
  document.body.dataset.state = view.state;
}

// Only the order of scores counts, so bars reach from the lowest of them to the highest.
function drawScores(view) {
  const scores = view.scores.map(BigInt), values = scores.map(Number);
  const low = Math.min(...values), span = Math.max(...values) - low || 1;
  classes.forEach(({ row, fill, score }, n) => {
    score.textContent = whole.format(scores[n]);
    fill.style.width = `${(100 * (values[n] - low)) / span}%`;
    row.className = n === view.label ? "first" : "";
  });
  set("last", view.recording ? `last recording, ${view.recording}: ${view.recording_label ?? "no label"}` : "");
}

function press(id, on, yes, no) {
  $(id).setAttribute("aria-pressed", on);
  $(id).textContent = on ? yes : no;
}

const QUIET = new Set(["frames", "ticks_total", "ticks_max", "stack_used", "hits", "misses"]);
function counters(view) {
  const { hits, misses, border, outside, backwards } = view.signals;
  const rows = { hits, misses, border, outside, backwards, ...view.counters, ...view.losses, replayed: view.resumed };
  const body = $("counters");
  if (body.childElementCount !== Object.keys(rows).length) {
    body.replaceChildren(...Object.keys(rows).map((name) => {
      const row = document.createElement("tr"), head = document.createElement("th"), cell = document.createElement("td");
      head.textContent = name.replaceAll("_", " ");
      head.scope = "row";
      cell.id = `counter-${name}`;
      row.append(head, cell);
      return row;
    }));
  }
  for (const [name, value] of Object.entries(rows)) {
    set(`counter-${name}`, whole.format(value));
    $(`counter-${name}`).parentElement.className = value && !QUIET.has(name) ? "bad" : "";
  }
}

const BUTTONS = ["pause", "learn", "record", "save"];
const ENDED = 1001, FIRST_WAIT_MS = 500, LONGEST_WAIT_MS = 10000;
let socket = null, serial = 0, wait = FIRST_WAIT_MS, lastView = null;

function connection(state) {
  document.body.dataset.connection = state;
  for (const id of BUTTONS) $(id).disabled = state !== "open" || (id === "learn" && !(device && device.learning));
  if (state !== "open") $("lamp").className = "lamp";
}

function connect() {
  const token = new URLSearchParams(location.search).get("token");
  socket = new WebSocket(`ws://${location.host}/live?token=${encodeURIComponent(token)}`);
  socket.onmessage = (message) => {
    lastView = { drawn: [], misses: [], losses: {}, counters: {}, version: ++serial, ...JSON.parse(message.data) };
    show(lastView);
    wait = FIRST_WAIT_MS;
    connection("open");
  };
  socket.onclose = (event) => {
    if (event.code === ENDED || (lastView && lastView.state === "stopped")) {
      connection("ended");
      const why = lastView && lastView.state === "stopped" && lastView.note;
      set("note", `${why || "the monitor has ended"} – run codegen monitor again and open the address it prints`);
      return;
    }
    connection("lost");
    set("note", "no connection to the monitor, trying again; if it was restarted, open the address it has printed");
    setTimeout(connect, wait);
    wait = Math.min(2 * wait, LONGEST_WAIT_MS);
  };
}

for (const id of BUTTONS) {
  $(id).onclick = () => {
    const button = $(id), on = button.getAttribute("aria-pressed") === "true";
    socket.send(button.dataset.on ? (on ? button.dataset.on : button.dataset.off) : id);
  };
}
connection("opening");
connect();
