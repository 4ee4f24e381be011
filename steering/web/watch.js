// The player page: one film, one player, and what happens to them.
//
// ?player=hls|dash|shaka-hls|shaka-dash  which player and format
// ?t=SECONDS                             where the film starts
// ?session=NAME                          the session's name, and CMCD's `sid`; without it a random one
// ?autoplay=1                            starts at once, muted (browsers allow no other)
// ?buffer=SECONDS                        how far ahead the player loads, to try thin buffers

import { get } from "./api.js";
import { element, length } from "./element.js";
import { notice } from "./notice.js";
import { panel, reasonOf } from "./panel.js";
import { licences } from "./players/licences.js";
import { previews } from "./previews.js";
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
// An error explains a switch that follows it within this time.
const EXPLAINS_MS = 12_000;
const SAY_AFTER_S = 1.5; // a shorter wait needs no words
const COPIED_MS = 2000;
const SESSION = /^[A-Za-z0-9._-]{1,64}$/;

const query = new URLSearchParams(location.search);
const title = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const chosen = Object.hasOwn(PLAYERS, query.get("player")) ? query.get("player") : "hls";
const root = document.querySelector(".stage");
const video = document.querySelector("video");

fillSelector();
const side = panel(document.querySelector(".side"), document.querySelector(".below"));
start().catch((error) => notice(root, "This film cannot be played", error.message, () => location.reload()));

async function start() {
  const choice = PLAYERS[chosen];
  const library = import(choice.module); // while steering is asked
  library.catch(() => {}); // it is awaited below, where what is missing can be said
  const film = await get(`/api/v1/titles/${encodeURIComponent(title)}`);
  showFilm(film);
  if (film.page.missing_libraries.includes(choice.library)) {
    notice(root, "The player is not installed", `Run "${film.page.install}" where steering runs, then start it again.`);
    return;
  }
  if (!globalThis.MediaSource) {
    notice(
      root,
      "This browser cannot play the film",
      "It has no Media Source Extensions, which all players of this page need.",
    );
    return;
  }
  await play(film, (await library).create);
}

async function play(film, create) {
  const session = SESSION.test(query.get("session") ?? "") ? query.get("session") : sessionName();
  const origins = new Map(); // "http://127.0.1.1:8080" -> the appliance's name
  const telemetry = watch(video, {
    player: chosen,
    videoRenditions: new Set(film.video.map((one) => one.name)),
    origins,
    onswitch: announce,
  });
  const { stats } = telemetry;
  stats.session = session;
  globalThis.nearcast = stats;

  let decision = null;
  const ask = async () => {
    try {
      const about = stats.steering
        ? `s=${encodeURIComponent(stats.steering)}`
        : `title=${encodeURIComponent(title)}&session=${encodeURIComponent(session)}`;
      decision = await get(`/api/v1/explain?${about}`);
      for (const pathway of decision.pathways) if (pathway.url) origins.set(new URL(pathway.url).origin, pathway.name);
      stats.pathways = decision.priority;
    } catch {
      // Steering is away for a moment; the film goes on, and so does what was known.
    }
    const about = { decision, errors: stats.errors, now: performance.now(), within: EXPLAINS_MS };
    for (const one of stats.switches) one.reason ||= reasonOf(one, about);
  };
  await ask(); // before the first segment: its appliance must have a name by then

  const { thumbnails } = film;
  const pictures = previews({ thumbnails, base: () => stats.base, onready: () => controls.repaint() });
  const controls = stage(root, video, pictures, film.chapters);
  const manifest = new URL(`${film[PLAYERS[chosen].manifest]}?session=${session}`, location.href).href;
  const player = await create(video, manifest, {
    goal: seconds("buffer") || usualGoal(film.duration),
    start: query.has("t") ? Math.min(seconds("t"), film.duration) : -1,
    session,
    title,
    licences: await licences(film, manifest),
    events: new URL("/cmcd", location.href).href,
    cmcd: () => ({ token: stats.steering, host: stats.base && new URL(stats.base).host }),
    say: (error) => heard(stats, error),
  });
  controls.use(player);
  if (query.get("autoplay") === "1") {
    video.muted = true;
    video.autoplay = true;
    video.play().catch(() => {}); // refused until there is something to play; `autoplay` sees to it then
  }

  const look = () => {
    stats.rendition = player.stats();
    controls.refresh();
    controls.wait(waitText(stats));
    side.show(stats, decision, film.page);
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

function heard(stats, { fatal, text }) {
  stats.errors.push({ at: Math.round(video.currentTime * 100) / 100, when: performance.now(), fatal, text });
  if (fatal) notice(root, "This film cannot be played here", `The player says: ${text}`, () => location.reload());
}

// Why the film waits, once it does so for a while; "" while it does not.
function waitText(stats) {
  if (stats.stallingFor < SAY_AFTER_S) return "";
  const last = stats.errors.at(-1);
  const why = last && performance.now() - last.when < EXPLAINS_MS ? ` The last thing that failed: ${last.text}.` : "";
  return `Waiting for data; the player goes on trying.${why}`;
}

function announce({ to }) {
  document.querySelector(".announcer").textContent = `Now served by ${to}`;
}

function seconds(name) {
  const value = Number(query.get(name));
  return Number.isFinite(value) && value > 0 ? value : 0;
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
    if (video.currentTime > 1) query.set("t", String(Math.floor(video.currentTime)));
    location.search = query.toString();
  });
  document.querySelector(".share").addEventListener("click", share);
}

// The film, the player and the place in it; nothing of the session, which is this viewer's.
async function share({ currentTarget: button }) {
  const link = new URL(location.pathname, location.origin);
  link.searchParams.set("player", chosen);
  if (video.currentTime >= 1) link.searchParams.set("t", String(Math.floor(video.currentTime)));
  try {
    await navigator.clipboard.writeText(link.href);
    button.textContent = "Copied";
  } catch {
    prompt("The link to this film, with this player and from here", link.href); // no HTTPS, no clipboard
    return;
  }
  setTimeout(() => (button.textContent = "Copy link"), COPIED_MS);
}

function showFilm(film) {
  document.title = `${film.name} · Nearcast`;
  document.querySelector("h1").textContent = film.name;
  if (film.poster) video.poster = film.poster;
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

// A name, not a secret. randomUUID would need HTTPS, and a site's own network has none.
function sessionName() {
  return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
