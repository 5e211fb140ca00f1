// What is known of each token of the map: search, the panel beside it, and the kinds that are shown.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0)).buffer;
  const N = data.labels.length, near = new Uint16Array(bytes(data.near)), K = near.length / N;
  const kinds = Uint8Array.from(data.kinds, Number), bare = data.labels.map((one) => one.replace(/^␣/, ""));
  const tokens = { N, K, near, kinds, bare, labels: data.labels, places: new Uint16Array(bytes(data.places)),
    first: new Uint32Array(bytes(data.first)) };
  const cosines = new Int8Array(bytes(data.cosines)), folded = bare.map((one) => one.toLowerCase());
  const state = { chosen: -1, over: -1, found: null, shown: data.names.map(() => true) };
  const part = (id) => document.getElementById(id);
  const canvas = part("map"), about = part("about"), tip = part("tip"), search = part("search");
  const map = tokenMap(canvas, tokens, state, { hover, choose, clear });
  const neighbours = (i) => [...near.subarray(i * K, i * K + K)];

  function element(name, text = "", more = {}) {
    return Object.assign(document.createElement(name), { textContent: text }, more);
  }

  // A label, its space paler than what it spells.
  function labelled(name, i) {
    const whole = element(name);
    if (bare[i] !== data.labels[i]) whole.append(element("i", "␣"));
    whole.append(bare[i]);
    return whole;
  }

  function hover(i) {
    if (i !== state.over) map.later();
    state.over = i;
    canvas.classList.toggle("over", i >= 0);
    tip.hidden = i < 0;
    if (i < 0) return;
    tip.replaceChildren(labelled("strong", i), element("br"), element("small", data.names[kinds[i]]));
    const x = map.toX(i), y = map.toY(i), [width, height] = map.size(), w = tip.offsetWidth, h = tip.offsetHeight;
    tip.style.left = `${x + 14 + w > width ? x - 14 - w : x + 14}px`;
    tip.style.top = `${Math.min(Math.max(4, y - h / 2), height - h - 4)}px`;
  }

  function list(title, rows) {
    const items = rows.map(([i, cosine]) => {
      const button = element("button", "", { type: "button", onclick: () => choose(i, true) });
      button.append(labelled("span", i));
      if (cosine !== undefined) {
        button.append(element("small", (cosine / 100).toFixed(2)));
        button.style.setProperty("--share", Math.max(0, cosine / 100));
      }
      const item = element("li");
      item.append(button);
      return item;
    });
    const whole = element("ol");
    whole.append(...items);
    return [element("h3", title), whole];
  }

  function describe() {
    const { chosen, found } = state;
    if (chosen >= 0) {
      const rows = neighbours(chosen).map((i, place) => [i, cosines[chosen * K + place]]);
      about.replaceChildren(labelled("h2", chosen),
        element("p", `token ${data.ids[chosen].toLocaleString("en")}, ${data.names[kinds[chosen]]}`,
          { className: "soft" }),
        ...(K ? list("Nearest by cosine, of those drawn", rows)
          : [element("p", "With more than 20,000 tokens drawn, neighbours are left to the command: --near WORD.")]));
    } else if (found) {
      const many = `${found.length.toLocaleString("en")} token${found.length === 1 ? "" : "s"}`;
      about.replaceChildren(...(found.length
        ? list(found.length > 40 ? `${many}, the first 40` : many, found.slice(0, 40).map((i) => [i]))
        : [element("p", "No token drawn is spelled so. A word may be several tokens.")]));
    } else {
      about.replaceChildren(element("h3", "Choose a token"),
        element("p", K
          ? "Click one, or search: its nearest neighbours come here, and lines show where the map put them."
          : "Click one, or search for it."),
        ...list("Some to begin with", someWords().map((i) => [i])));
    }
  }

  // Words that people know something about, those that are drawn.
  function someWords() {
    const wanted = ["king", "Monday", "Paris", "seven", "red", "water", "doctor", "happy", "run"];
    const words = wanted.map((word) => data.labels.indexOf(`␣${word}`)).filter((i) => i >= 0);
    return words.length ? words : [...Array(Math.min(8, N)).keys()];
  }

  function choose(i, bring = false) {
    state.chosen = i;
    if (bring) map.bring(i);
    const name = i < 0 ? "" : encodeURIComponent(bare[i] || data.labels[i]);
    try {
      if (name || location.hash) history.replaceState(null, "", `#${name}`);
    } catch { /* a frame without an address */ }
    describe();
    map.later();
  }

  function clear() {
    search.value = "";
    state.found = null;
    choose(-1);
  }

  // Those spelled so come first, then those that begin so, then those that hold it.
  function lookFor(text) {
    const asked = text.replace(/^[␣ ]/, "").toLowerCase();
    const groups = [[], [], [], []];
    for (let i = 0; i < N; i++) {
      const place = folded[i].indexOf(asked);
      if (place < 0) continue;
      const exact = bare[i] === text.replace(/^[␣ ]/, "");
      groups[exact && data.labels[i][0] === "␣" ? 0 : folded[i] === asked ? 1 : place === 0 ? 2 : 3].push(i);
    }
    return groups.flat();
  }

  search.addEventListener("input", () => {
    state.found = search.value.trim() ? lookFor(search.value.trim()) : null;
    choose(-1);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && state.found?.length) choose(state.found[0], true);
    if (event.key === "Escape") clear();
  });

  data.names.forEach((name, kind) => {
    const many = kinds.reduce((sum, one) => sum + (one === kind), 0);
    if (!many) return;
    const button = element("button", name, { type: "button" });
    button.setAttribute("aria-pressed", "true");
    button.append(element("small", many.toLocaleString("en")));
    button.style.setProperty("--kind", `var(--k${kind})`);
    button.onclick = () => {
      state.shown[kind] = !state.shown[kind];
      button.setAttribute("aria-pressed", state.shown[kind]);
      hover(-1);
      map.later();
    };
    part("kinds").append(button);
  });

  part("in").onclick = () => map.zoom(1.6);
  part("out").onclick = () => map.zoom(1 / 1.6);
  part("all").onclick = map.fit;
  let asked = "";
  try { asked = decodeURIComponent(location.hash.slice(1)); } catch { /* typed by hand */ }
  const first = asked ? lookFor(asked)[0] ?? -1 : data.chosen ?? -1;
  choose(first, first >= 0);
  document.documentElement.dataset.drawn = N;
})();
