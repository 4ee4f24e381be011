// The player page: one film, one player, and what happens to them.
//
// ?player=hls|dash|shaka-hls|shaka-dash  which player and format
// ?autoplay=1                            starts at once, muted (browsers allow no other)
// ?buffer=SECONDS                        how far ahead the player loads, to try thin buffers

import { get } from "./api.js";
import { element, length } from "./element.js";
import { panel } from "./panel.js";
import { stage } from "./stage.js";
import { watch } from "./telemetry.js";

const PLAYERS = {
  hls: { label: "hls.js · HLS", module: "./players/hls.js", manifest: "hls", library: "hls.js" },
  dash: { label: "dash.js · DASH", module: "./players/dash.js", manifest: "dash", library: "dash.js" },
  "shaka-hls": { label: "Shaka · HLS", module: "./players/shaka.js", manifest: "hls", library: "shaka.js" },
  "shaka-dash": { label: "Shaka · DASH", module: "./players/shaka.js", manifest: "dash", library: "shaka.js" },
};
const LOOK_EVERY_MS = 250;
const SAMPLE_EVERY_MS = 1000;
const ASK_EVERY_MS = 2000;

const query = new URLSearchParams(location.search);
const title = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const chosen = Object.hasOwn(PLAYERS, query.get("player")) ? query.get("player") : "hls";

start().catch((error) => notice("This film cannot be played", error.message));

async function start() {
  fillSelector();
  const film = await get(`/api/v1/titles/${encodeURIComponent(title)}`);
  showFilm(film);
  const choice = PLAYERS[chosen];
  if (film.page.missing_libraries.includes(choice.library)) {
    notice("The player is not installed", `Run "${film.page.install}" where steering runs, then start it again.`);
    return;
  }

  const video = document.querySelector("video");
  if (film.poster) video.poster = film.poster;
  const session = sessionName();
  const origins = new Map(); // "http://127.0.1.1:8080" -> the appliance's name
  const telemetry = watch(video, { player: chosen, videoRenditions: new Set(film.video.map((one) => one.name)), origins });
  const { stats } = telemetry;
  stats.session = session;
  globalThis.nearcast = stats;

  let decision = null;
  const ask = async () => {
    try {
      const about = stats.steering
        ? `s=${encodeURIComponent(stats.steering)}`
        : `title=${encodeURIComponent(title)}&session=${session}`;
      decision = await get(`/api/v1/explain?${about}`);
      for (const pathway of decision.pathways) if (pathway.url) origins.set(new URL(pathway.url).origin, pathway.name);
      stats.pathways = decision.priority;
    } catch {
      // Steering is away for a moment; the film goes on, and so does what was known.
    }
  };
  await ask(); // before the first segment: its appliance must have a name by then

  const { create } = await import(choice.module);
  const events = {
    error: ({ fatal, text }) => stats.errors.push({ at: Math.round(video.currentTime * 100) / 100, fatal, text }),
  };
  const controls = stage(document.querySelector(".stage"), video);
  const manifest = new URL(`${film[choice.manifest]}?session=${session}`, location.href).href;
  const bufferGoal = Number(query.get("buffer")) > 0 ? Number(query.get("buffer")) : usualGoal(film.duration);
  const player = await create(video, manifest, events, { bufferGoal });
  controls.use(player);
  if (query.get("autoplay") === "1") {
    video.muted = true;
    video.autoplay = true;
    video.play().catch(() => {}); // refused until there is something to play; `autoplay` sees to it then
  }

  const side = panel(document.querySelector(".side"), document.querySelector(".below"), { control: film.page.control });
  const look = () => {
    stats.rendition = player.stats();
    controls.refresh();
    side.show(stats, decision);
  };
  look();
  setInterval(look, LOOK_EVERY_MS);
  setInterval(() => side.sample(stats), SAMPLE_EVERY_MS);
  setInterval(ask, ASK_EVERY_MS);
  addEventListener("pagehide", () => {
    telemetry.close();
    player.destroy();
  });
}

// Half a minute ahead outlasts an appliance's restart. Of a short film not more than a third: loaded at once to its end,
// it would show nothing of what steering does.
function usualGoal(duration) {
  return Math.min(30, Math.max(10, duration / 3));
}

function fillSelector() {
  const selector = document.querySelector("#player");
  for (const [value, { label }] of Object.entries(PLAYERS)) {
    selector.append(element("option", { value, text: label, selected: value === chosen }));
  }
  selector.addEventListener("change", () => {
    query.set("player", selector.value);
    location.search = query.toString();
  });
}

function showFilm(film) {
  document.title = `${film.name} · Nearcast`;
  document.querySelector("h1").textContent = film.name;
  const heights = film.video.map((one) => one.height);
  const facts = [
    length(film.duration),
    heights.length ? `${Math.min(...heights)}p to ${Math.max(...heights)}p` : "",
    languages("Audio", film.audio),
    languages("Captions", film.text),
  ];
  document.querySelector(".facts").replaceChildren(...facts.filter(Boolean).map((text) => element("li", { text })));
}

function languages(what, tracks) {
  return tracks.length ? `${what}: ${tracks.map((one) => one.label || one.language).join(", ")}` : "";
}

function notice(heading, text) {
  document.querySelector(".stage").replaceChildren(
    element(
      "div",
      { class: "notice", role: "alert" },
      element("h2", { text: heading }),
      element("p", { text }),
      element("a", { class: "link", href: "/", text: "All films" }),
    ),
  );
}

// A name, not a secret. randomUUID would need HTTPS, and a site's own network has none.
function sessionName() {
  return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
