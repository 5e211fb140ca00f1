// Points on a canvas that can be moved and zoomed, named where there is room; what is chosen is another file's.
"use strict";
/* tokens: N of them, with places, kinds, labels, bare (labels without the space that they begin with) and near, K rows
   for each; first: the rows in the order in which they are named. state: chosen and over (rows, or -1), found (rows, or
   null) and shown (by kind). told: hover, choose, clear. */
function tokenMap(canvas, tokens, state, told) {
  const { N, K, places, near, first, kinds, labels, bare } = tokens, STEPS = 65535;
  const ink = canvas.getContext("2d"), { shown } = state;
  const RADIUS = N > 12000 ? 1.3 : N > 5000 ? 1.8 : N > 1000 ? 2.6 : 4;
  const corners = [0, 1].map((d) => {
    let least = STEPS, most = 0;
    for (let i = 0; i < N; i++) [least, most] = [Math.min(least, places[2 * i + d]), Math.max(most, places[2 * i + d])];
    return [least, most];
  });
  // A place is at (place - view) * scale pixels, up being up.
  const view = { x: 0, y: 0, scale: 1, least: 1 };
  let width = 0, height = 0, waiting = false, colours = {};

  const toX = (i) => (places[2 * i] - view.x) * view.scale;
  const toY = (i) => height - (places[2 * i + 1] - view.y) * view.scale;
  const isIn = (x, y, room) => x > -room && y > -room && x < width + room && y < height + room;

  function later() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  }

  function readColours() {
    const style = getComputedStyle(document.documentElement), value = (name) => style.getPropertyValue(name).trim();
    colours = { page: value("--page"), ink: value("--ink"), soft: value("--soft"), accent: value("--accent"),
      kinds: shown.map((_, kind) => value(`--k${kind}`)) };
    later();
  }

  function draw() {
    const ratio = devicePixelRatio || 1;
    ink.setTransform(ratio, 0, 0, ratio, 0, 0);
    ink.fillStyle = colours.page;
    ink.fillRect(0, 0, width, height);
    const radius = RADIUS * Math.min(2.6, (view.scale / view.least) ** 0.4);
    const { chosen, over, found } = state;
    const beside = chosen < 0 ? [] : [...near.subarray(chosen * K, chosen * K + K)].filter((i) => shown[kinds[i]]);
    const named = chosen >= 0 ? [chosen, ...beside] : found ?? [];
    dots(radius, named.length || found ? 0.22 : N > 5000 ? 0.55 : 0.8);
    lines(chosen, beside);
    for (const i of named) if (shown[kinds[i]]) dot(i, radius + 1.4, colours.kinds[kinds[i]]);
    names(named, named.length || found ? 0 : Math.floor(width * height / 9000), radius);
    if (chosen >= 0) ring(chosen, radius + 4, colours.ink);
    if (over >= 0 && over !== chosen) ring(over, radius + 3, colours.ink);
  }

  function dots(radius, alpha) {
    ink.globalAlpha = alpha;
    for (let kind = 0; kind < shown.length; kind++) {
      if (!shown[kind]) continue;
      ink.fillStyle = colours.kinds[kind];
      ink.beginPath();
      for (let i = 0; i < N; i++) {
        if (kinds[i] !== kind) continue;
        const x = toX(i), y = toY(i);
        if (!isIn(x, y, radius)) continue;
        // A square of this size looks as a dot does, and a browser fills it many times faster.
        if (radius < 2) ink.rect(x - radius * 0.9, y - radius * 0.9, radius * 1.8, radius * 1.8);
        else { ink.moveTo(x + radius, y); ink.arc(x, y, radius, 0, 2 * Math.PI); }
      }
      ink.fill();
    }
    ink.globalAlpha = 1;
  }

  function dot(i, radius, colour) {
    ink.fillStyle = colour;
    ink.beginPath();
    ink.arc(toX(i), toY(i), radius, 0, 2 * Math.PI);
    ink.fill();
  }

  function ring(i, radius, colour) {
    ink.strokeStyle = colour;
    ink.lineWidth = 1.6;
    ink.beginPath();
    ink.arc(toX(i), toY(i), radius, 0, 2 * Math.PI);
    ink.stroke();
  }

  function lines(chosen, beside) {
    ink.strokeStyle = colours.soft;
    ink.lineWidth = 1;
    ink.globalAlpha = 0.7;
    ink.beginPath();
    for (const i of beside) { ink.moveTo(toX(chosen), toY(chosen)); ink.lineTo(toX(i), toY(i)); }
    ink.stroke();
    ink.globalAlpha = 1;
  }

  // Names where they cover no other: those asked for, then the first tokens in sight, which matter most.
  function names(wanted, more, radius) {
    const boxes = [[width - 48, width, height - 120, height]];  // of the buttons
    const write = (i, size, weight, sides) => {
      if (!shown[kinds[i]] || !isIn(toX(i), toY(i), 0)) return false;
      ink.font = `${weight} ${size}px system-ui, sans-serif`;
      const text = bare[i].slice(0, 40) || labels[i], w = ink.measureText(text).width;
      const half = size * 0.65, gap = radius + (i === state.chosen ? 7 : 4);
      const isFree = ([x, y]) => x > 2 && x + w < width - 2
        && !boxes.some(([a, b, c, d]) => x < b + 4 && a < x + w + 4 && y - half < d && c < y + half);
      const spots = [[gap, 0], [-gap - w, 0], [-w / 2, gap + half], [-w / 2, -gap - half], [gap, gap + 4],
        [gap, -gap - 4]];
      const spot = spots.slice(0, sides).map(([x, y]) => [toX(i) + x, toY(i) + y]).find(isFree);
      if (!spot) return false;
      boxes.push([spot[0], spot[0] + w, spot[1] - half, spot[1] + half]);
      ink.lineWidth = 3.5;
      ink.lineJoin = "round";
      ink.strokeStyle = colours.page;
      ink.strokeText(text, ...spot);
      ink.fillStyle = colours.ink;
      ink.fillText(text, ...spot);
      return true;
    };
    ink.textBaseline = "middle";
    wanted.slice(0, 400).forEach((i, place) => write(i, 13, place === 0 && state.chosen >= 0 ? 700 : 500, 6));
    let tried = 0;
    for (const i of first) {
      if (more <= 0 || tried > 6000) break;
      if (!shown[kinds[i]] || !isIn(toX(i), toY(i), 0)) continue;
      tried++;
      if (write(i, 12, 400, 1)) more--;
    }
  }

  // Moving and zooming

  // Show what lies from left to right and from bottom to top, in the middle and no larger than `most` times all.
  function frame([left, right], [bottom, top], most, room) {
    const across = (width - 2 * room) / Math.max(1, right - left), up = (height - 2 * room) / Math.max(1, top - bottom);
    view.scale = Math.min(across, up, most);
    view.x = (left + right) / 2 - width / view.scale / 2;
    view.y = (bottom + top) / 2 - height / view.scale / 2;
    later();
  }

  function fit() {
    frame(...corners, Infinity, Math.min(28, width / 14));
    view.least = view.scale;
  }

  function zoom(factor, x = width / 2, y = height / 2) {
    const scale = Math.min(Math.max(view.scale * factor, view.least * 0.6), view.least * 400);
    view.x += x / view.scale - x / scale;
    view.y += (height - y) / view.scale - (height - y) / scale;
    view.scale = scale;
    later();
  }

  function move(dx, dy) {
    view.x -= dx / view.scale;
    view.y += dy / view.scale;
    later();
  }

  function resize() {
    const box = canvas.getBoundingClientRect(), ratio = devicePixelRatio || 1, middle = [width, height];
    if (!box.width || !box.height) return;
    [width, height] = [box.width, box.height];
    [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (!middle[0]) fit();
    else move((width - middle[0]) / 2, (middle[1] - height) / 2);
  }

  function nearestTo(x, y, within) {
    let best = -1, least = within ** 2;
    for (let i = 0; i < N; i++) {
      if (!shown[kinds[i]]) continue;
      const distance = (toX(i) - x) ** 2 + (toY(i) - y) ** 2;
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  }

  const pointers = new Map();
  let travelled = 0;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    if (!pointers.size) travelled = 0;
    pointers.set(event.pointerId, at(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = at(event), before = pointers.get(event.pointerId);
    if (!before) return told.hover(nearestTo(x, y, 12));
    pointers.set(event.pointerId, [x, y]);
    travelled += Math.hypot(x - before[0], y - before[1]);
    if (travelled > 4) { canvas.classList.add("moving"); told.hover(-1); }
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const apart = (one) => Math.max(1, Math.hypot(one[0] - other[0], one[1] - other[1]));
      zoom(apart([x, y]) / apart(before), (x + other[0]) / 2, (y + other[1]) / 2);
    }
    move((x - before[0]) / pointers.size, (y - before[1]) / pointers.size);
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => {
    pointers.delete(event.pointerId);
    canvas.classList.remove("moving");
    if (end !== "pointerup" || travelled > 4) return;
    told.choose(nearestTo(...at(event), event.pointerType === "touch" ? 22 : 12));
  });
  canvas.addEventListener("pointerleave", () => told.hover(-1));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : event.ctrlKey ? 0.01 : 0.0018)), ...at(event));
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => zoom(2.5, ...at(event)));
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (moves[event.key]) move(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") zoom(1.5);
    else if (event.key === "-") zoom(1 / 1.5);
    else if (event.key === "0") fit();
    else if (event.key === "Escape") told.clear();
    else return;
    event.preventDefault();
  });

  // Bring a token into sight with those beside it.
  function bring(i) {
    const rows = [i, ...near.subarray(i * K, i * K + K)].filter((row) => shown[kinds[row]]);
    const along = (d) => rows.map((row) => places[2 * row + d]);
    const [across, up] = [0, 1].map((d) => [Math.min(...along(d)), Math.max(...along(d))]);
    frame(across, up, view.least * 25, Math.min(90, width / 5));
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);
  new ResizeObserver(resize).observe(canvas);
  readColours();
  resize();
  return { later, fit, zoom, bring, toX, toY, size: () => [width, height] };
}
