"use strict";
// Draws what /live sends; values are shown as the device gave them. No library, nothing loaded from elsewhere.
const $ = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en");
const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
let device = null, cards = [], classes = [], hues = [], dots = [];

// Golden-angle hues: neighbours in number are far apart in colour, however many features there are.
const hueOf = (n) => `hsl(${(n * 137.508 + 205) % 360} ${72 + 12 * (n % 2)}% ${62 + 7 * (n % 3)}%)`;
const words = (text) => {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Int16Array(bytes.buffer);
};
const percent = (value) => (value === null || Number.isNaN(value) ? "–" : `${(100 * value).toFixed(2)} %`);
const set = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };

function prepare(view) {
  device = view.device;
  hues = Array.from({ length: device.features }, (_, n) => hueOf(n));
  $("port").textContent = `${device.port} · ${device.features} features of ${device.side}×${device.side}, build ${device.build_id}`;
  $("cards").replaceChildren();
  cards = hues.map((hue, n) => {
    const card = document.createElement("div");
    card.className = "card";
    card.style.setProperty("--hue", hue);
    const image = document.createElement("canvas");
    image.width = image.height = device.side;
    image.title = `feature ${n}`;
    const line = document.createElement("p");
    const threshold = document.createElement("span"), wins = document.createElement("span");
    threshold.id = `threshold-${n}`;
    wins.id = `wins-${n}`;
    threshold.title = "selection threshold";
    wins.title = "events won";
    line.append(threshold, wins);
    const bar = document.createElement("div"), fill = document.createElement("i");
    bar.className = "bar";
    bar.append(fill);
    card.append(image, line, bar);
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

function drawFeatures(view) {
  const side = device.side, weights = words(view.weights);
  cards.forEach((card, n) => {
    const context = card.image.getContext("2d"), image = context.createImageData(side, side);
    const own = weights.subarray(n * side * side, (n + 1) * side * side);
    let top = 1; // of all but the centre, the event's own pixel, which outshines the others
    own.forEach((value, i) => { if (i !== (side * side - 1) / 2) top = Math.max(top, Math.abs(value)); });
    own.forEach((value, i) => {
      const level = Math.pow(Math.min(1, Math.abs(value) / top), 0.8);
      const [r, g, b] = value >= 0 ? [240, 244, 250] : [255, 140, 90];
      image.data.set([8 + level * (r - 8), 11 + level * (g - 11), 15 + level * (b - 15), 255], 4 * i);
    });
    context.putImageData(image, 0, 0);
  });
}

function drawScene(view) {
  const canvas = $("scene"), [width, height] = device.sensor;
  const scale = Math.max(1, Math.ceil(Math.min(1200, canvas.clientWidth * devicePixelRatio) / width));
  if (canvas.width !== width * scale) { canvas.width = width * scale; canvas.height = height * scale; }
  const context = canvas.getContext("2d");
  if (view.surface) {
    const values = words(view.surface), plane = new OffscreenCanvas(width, height);
    const inner = plane.getContext("2d"), image = inner.createImageData(width, height);
    let top = 1;
    for (const value of values) top = Math.max(top, Math.abs(value));
    for (let i = 0; i < width * height; i++) {
      const level = Math.sqrt(Math.abs(values[i]) / top);
      const other = device.surfaces > 1 ? Math.sqrt(Math.abs(values[i + width * height]) / top) : level;
      image.data.set([10 + 150 * other, 14 + 120 * level + 50 * other, 20 + 190 * level, 255], 4 * i);
    }
    inner.putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(plane, 0, 0, canvas.width, canvas.height);
  } else {
    context.clearRect(0, 0, canvas.width, canvas.height);
  }
  const now = performance.now();
  if (view.drawn.length && view.version !== drawScene.seen) {
    dots = dots.filter((dot) => now - dot.at < 350).concat({ at: now, events: view.drawn }).slice(-6);
    drawScene.seen = view.version;
  }
  for (const { at, events } of dots) {
    context.globalAlpha = reduced ? 0.8 : Math.max(0, 0.95 - (now - at) / 380);
    for (const [x, y, result] of events) {
      if (result < 0) continue;
      context.fillStyle = hues[result];
      context.beginPath();
      context.arc((x + 0.5) * scale, (y + 0.5) * scale, Math.max(1.5, 0.24 * scale), 0, 7);
      context.fill();
    }
  }
  context.globalAlpha = 1;
}

function drawChart(view) {
  const canvas = $("chart"), ratio = devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const points = view.misses, law = device.law;
  const left = 46, right = width - 10, top = 8, bottom = height - 22;
  let high = Math.max(0.02, law === null ? 0 : 2.2 * law);
  for (const [, rate] of points) high = Math.max(high, 1.1 * rate);
  high = Math.min(1, high);
  const y = (rate) => bottom - (rate / high) * (bottom - top);
  context.font = "11px system-ui, DejaVu Sans, sans-serif";
  context.fillStyle = "#8c98a8";
  context.strokeStyle = "#252d38";
  context.textAlign = "right";
  for (let i = 0; i <= 4; i++) {
    const rate = (high * i) / 4;
    context.beginPath();
    context.moveTo(left, y(rate));
    context.lineTo(right, y(rate));
    context.stroke();
    context.fillText(`${(100 * rate).toFixed(1)} %`, left - 6, y(rate) + 4);
  }
  if (points.length > 1) {
    const first = points[0][0], last = points[points.length - 1][0];
    const x = (events) => left + ((events - first) / Math.max(1, last - first)) * (right - left);
    context.textAlign = "left";
    context.fillText(whole.format(first), left, height - 6);
    context.textAlign = "right";
    context.fillText(`${whole.format(last)} events`, right, height - 6);
    context.strokeStyle = "#6cb6ff";
    context.lineWidth = 1.8;
    context.lineJoin = "round";
    context.beginPath();
    points.forEach(([events, rate], i) => (i ? context.lineTo(x(events), y(rate)) : context.moveTo(x(events), y(rate))));
    context.stroke();
  }
  if (law !== null) {
    context.strokeStyle = context.fillStyle = "#ffb454";
    context.setLineDash([5, 5]);
    context.lineWidth = 1.3;
    context.beginPath();
    context.moveTo(left, y(law));
    context.lineTo(right, y(law));
    context.stroke();
    context.setLineDash([]);
    context.textAlign = "left";
    context.fillText(`law ${percent(law)}`, left + 6, y(law) - 5);
  }
}

function show(view) {
  if (!device || device.build_id !== view.device.build_id) prepare(view);
  const signals = view.signals;
  set("events", whole.format(view.events));
  set("rate", view.rate === undefined ? "–" : whole.format(Math.round(view.rate)));
  set("latency", view.latency_ms == null ? "–" : `${view.latency_ms.toFixed(1)} ms`);
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
    drawChart(view);
    counters(view);
  }
  if (view.scores) drawScores(view);
  if (view.decision) drawDecision(view);
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

// A fading readout: one answer, or UNKNOWN, and how typical what it sees is of the answer's class.
function drawDecision(view) {
  const { label, typicality, abstains } = view.decision;
  classes.forEach(({ row, fill, score }, n) => {
    const chosen = n === label;
    score.textContent = chosen ? (abstains ? "UNKNOWN" : "answer") : "";
    fill.style.width = chosen ? `${(100 * typicality) / 32767}%` : "0";
    row.className = chosen && !abstains ? "first" : "";
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
