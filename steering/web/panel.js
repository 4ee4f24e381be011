// What stands beside the film: who serves it, why, how well, and what happened so far.

import { post } from "./api.js";
import { clock, element, rate } from "./element.js";

const HEALTH = { healthy: "ready", full: "full", draining: "draining", unhealthy: "unwell", lost: "lost", "": "ready" };
const LINES = 40; // of the log
const HISTORY = 60; // samples of the buffer that the curve shows, one a second

export function panel(root, below) {
  const name = element("p", { class: "server pending", text: "waiting for the first segment" });
  const place = element("p", { class: "dim" });
  const why = element("p", { class: "why" });
  const serving = element("section", { class: "card serving" }, heading("Served by"), name, place, why);

  const quality = tile("Picture");
  const throughput = tile("Throughput");
  const buffer = tile("Ahead");
  const stalls = tile("Stalls");
  const dropped = tile("Dropped frames");
  const steering = tile("Steering");
  const curve = curveOf(buffer.box);
  const tiles = element(
    "section",
    { class: "tiles", "aria-label": "Playback" },
    ...[quality, throughput, buffer, stalls, dropped, steering].map((one) => one.box),
  );

  const list = element("ol", { class: "pathways" });
  const explain = element("a", {
    class: "link",
    text: "The whole decision",
    target: "_blank",
    rel: "noopener",
    hidden: true,
  });
  const order = element(
    "section",
    { class: "card order" },
    heading("Whom the player may ask, in order"),
    list,
    explain,
  );

  const log = element("ol", { class: "log", tabindex: 0, "aria-label": "What happened so far" });
  below.replaceChildren(element("section", { class: "card" }, heading("So far"), log));
  root.replaceChildren(serving, tiles, order);

  const rows = new Map(); // a pathway's name -> its row
  let logged = "";

  function show(stats, decision, { control, ttl }) {
    const pathway = decision?.pathways.find((one) => one.name === stats.appliance);
    setText(name, stats.appliance || "waiting for the first segment");
    name.classList.toggle("pending", !stats.appliance);
    setText(place, pathway ? whereabouts(pathway) : "");
    setText(why, decision?.placement.reason ?? "");
    serving.classList.toggle("local", Boolean(pathway?.local));

    const picture = stats.rendition;
    quality.set(
      picture ? `${picture.height}p` : "–",
      picture ? `${picture.width}×${picture.height}, ${rate(picture.bitrate)}` : "",
    );
    throughput.set(picture?.throughput ? rate(picture.throughput) : "–", "the player's measure");
    buffer.set(`${stats.buffer.toFixed(1)} s`, "");
    stalls.set(
      String(stats.stalls),
      stats.stalls ? `${stats.stallSeconds.toFixed(1)} s in all` : "none",
      stats.stalls > 0,
    );
    dropped.set(String(stats.droppedFrames), stats.frames ? `of ${stats.frames}` : "");
    steering.set(...pollText(stats.polls, ttl));
    showLog(stats);
    if (decision) showOrder(stats, decision, control);
  }

  function showOrder(stats, decision, control) {
    // Those of this session first, as the player has them; then those it was never told of.
    const named = decision.priority
      .map((one) => decision.pathways.find((pathway) => pathway.name === one))
      .filter(Boolean);
    const others = decision.pathways.filter((one) => !decision.priority.includes(one.name));
    const pathways = [...named, ...others];
    for (const pathway of pathways) if (!rows.has(pathway.name)) rows.set(pathway.name, row(pathway.name, control));
    const items = pathways.map((pathway, index) => {
      const { item, update } = rows.get(pathway.name);
      update(pathway, stats, index < named.length ? index + 1 : 0);
      return item;
    });
    // Moving an item would take the focus from the button in it, so they move only when their order is another.
    if (items.length !== list.children.length || items.some((item, index) => list.children[index] !== item)) {
      list.replaceChildren(...items);
    }
    const query = stats.steering ? { s: stats.steering } : { title: decision.title, session: stats.session };
    explain.href = `/api/v1/explain?${new URLSearchParams(query)}`;
    explain.hidden = false;
  }

  function showLog(stats) {
    const lines = [
      ...stats.switches.map((one) => ({
        at: one.at,
        text: `${one.from} → ${one.to}`,
        note: one.reason,
        kind: "switch",
      })),
      ...stats.errors.map((one) => ({ at: one.at, text: one.text, kind: one.fatal ? "fatal" : "slip" })),
    ].sort((one, other) => other.at - one.at);
    const shown = lines.length
      ? repeated(lines).slice(0, LINES)
      : [{ text: "Nothing changed hands yet.", kind: "none" }];
    if (JSON.stringify(shown) === logged) return;
    logged = JSON.stringify(shown);
    log.replaceChildren(
      ...shown.map(({ at, text, note, kind, times }) =>
        element(
          "li",
          { class: kind },
          element("time", { text: at === undefined ? "" : clock(at) }),
          element("span", { text: times > 1 ? `${text} ×${times}` : text }),
          note ? element("span", { class: "dim", text: note }) : null,
        ),
      ),
    );
  }

  return { show, sample: (stats) => curve(stats.buffer) };
}

// The buffer of the last minute behind its number. Returns the function that adds a sample.
function curveOf(box) {
  const history = [];
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "curve");
  svg.setAttribute("viewBox", `0 0 ${HISTORY - 1} 30`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const area = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.append(area);
  box.append(svg);
  return (value) => {
    history.push(value);
    if (history.length > HISTORY) history.shift();
    const top = Math.max(10, ...history);
    const points = history.map(
      (one, index) => `${HISTORY - history.length + index},${(30 - (28 * one) / top).toFixed(1)}`,
    );
    area.setAttribute("d", `M${HISTORY - history.length},30 L${points.join(" L")} L${HISTORY - 1},30 Z`);
  };
}

// When steering is asked next, at the latest: players keep to the TTL of the last answer, which may be shorter.
function pollText({ answered, failed, lastAt }, ttl) {
  if (lastAt === null) return ["–", "not asked yet"];
  const left = Math.max(0, ttl - (performance.now() - lastAt) / 1000);
  const told = `asked ${answered + failed} times${failed ? `, ${failed} without answer` : ""}`;
  return [left > 0 ? `in ${Math.ceil(left)} s` : "now", told];
}

// One pathway's row. It is made once and told what is new, so that what the viewer opened or pressed stays so.
function row(name, control) {
  const position = element("span", { class: "position" });
  const state = element("span", { class: "state" });
  const count = element("span", { class: "count" });
  const facts = element("p", { class: "dim" });
  const reasons = element("ul");
  const title = element("p", { class: "title" }, element("strong", { text: name }), state, count);
  const why = element("details", {}, element("summary", { text: "Why here" }), reasons);
  const switcher = control ? power(name, control) : null;
  const about = element("div", { class: "about" }, title, facts, why);
  const item = element("li", {}, position, about, switcher?.button);
  return {
    item,
    update(pathway, stats, number) {
      const isServing = pathway.name === stats.appliance && pathway.health !== "lost";
      const requests = stats.requests[pathway.name] ?? 0;
      const health = HEALTH[pathway.health] ?? pathway.health;
      item.classList.toggle("now", isServing);
      item.classList.toggle("out", !pathway.usable);
      setText(position, String(number || "·"));
      setText(state, isServing ? "serving" : health);
      state.className = `state ${health}`;
      setText(count, requests ? `${requests} segments` : "");
      setText(facts, whereabouts(pathway));
      if (reasons.dataset.told !== pathway.reasons.join()) {
        reasons.dataset.told = pathway.reasons.join();
        reasons.replaceChildren(...pathway.reasons.map((reason) => element("li", { text: reason })));
      }
      switcher?.update(pathway);
    },
  };
}

// Stops an appliance, and starts it again. Between the press and what steering sees of it, the button waits.
function power(name, control) {
  let isLost = false;
  let asked = ""; // the action that was pressed and has not shown yet
  const button = element("button", { type: "button", class: "power", onclick: press });

  async function press() {
    const action = isLost ? "start" : "stop";
    asked = action;
    render();
    try {
      await post(`${control}/api/v1/appliances/${encodeURIComponent(name)}/${action}`);
    } catch (error) {
      asked = "";
      render();
      button.title = error.message;
      setText(button, "Failed");
    }
  }
  function render() {
    const label = asked ? { stop: "Stopping", start: "Starting" }[asked] : isLost ? "Start" : "Stop";
    setText(button, label);
    button.setAttribute("aria-label", `${label} ${name}`);
    button.className = `power ${isLost ? "start" : "stop"}`;
    button.disabled = asked !== "";
  }
  render();
  return {
    button,
    update(pathway) {
      button.hidden = pathway.origin;
      const lost = pathway.health === "lost";
      if (lost === isLost) return;
      isLost = lost;
      asked = "";
      button.title = "";
      render();
    },
  };
}

// Why a player went from one appliance to another, as far as it can be told from outside: what failed lately, else what
// steering says of the one that was left.
export function reasonOf({ from, to }, { decision, errors, now, within }) {
  const slip = errors.findLast((one) => now - one.when < within);
  const left = decision?.pathways.find((one) => one.name === from);
  if (left && left.health && left.health !== "healthy") return `${from} is ${HEALTH[left.health] ?? left.health}`;
  if (slip) return slip.text;
  return decision?.priority[0] === to ? "steering prefers it" : "";
}

// Setting the same text again would still cost a layout, and a screen reader reads it again.
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Lines that say the same in the same second are one: a dead appliance fails audio, video and playlists at once.
function repeated(lines) {
  const merged = [];
  for (const line of lines) {
    const same = merged.find((one) => one.text === line.text && Math.floor(one.at) === Math.floor(line.at));
    if (same) same.times += 1;
    else merged.push({ ...line, times: 1 });
  }
  return merged;
}

function whereabouts(pathway) {
  if (pathway.origin) return "the origin";
  const place = pathway.site || "unknown site";
  if (pathway.local) return `${place}, inside your network`;
  if (pathway.rtt_ms) return `${place}, ${Math.round(pathway.rtt_ms)} ms away`; // measured; a distance is not
  return pathway.distance_km ? `${place}, ${Math.round(pathway.distance_km)} km away` : place;
}

function heading(text) {
  return element("h2", { text });
}

function tile(label) {
  const value = element("p", { class: "value", text: "–" });
  const note = element("p", { class: "dim" });
  const box = element("div", { class: "tile" }, element("h3", { text: label }), value, note);
  return {
    box,
    set(text, remark, isBad = false) {
      setText(value, text);
      setText(note, remark);
      box.classList.toggle("bad", isBad);
    },
  };
}
