// What the viewer may choose: quality, speed, audio, captions. What was chosen stays chosen.
//
// Players forget: a pathway switch, a restart from the manifest or another rung may bring other track numbers or other
// defaults. So a choice is kept by what it says, and made again whenever the player shows something else.

import { element, rate } from "./element.js";

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2];
const AUTO = "auto";
const OFF = "off";

export function choices(video, { onchange }) {
  const quality = choice("Quality", (value) => choose("quality", value));
  const speed = choice("Speed", (value) => setSpeed(Number(value)));
  const audio = choice("Audio", (value) => choose("audio", value));
  const captions = choice("Captions", (value) => choose("captions", value));
  const panel = element(
    "div",
    { class: "settings", id: "settings", role: "group", "aria-label": "Settings", hidden: true },
    ...[quality, speed, audio, captions].map((one) => one.root),
  );
  const wanted = { quality: AUTO, audio: null, captions: recall() ?? OFF }; // null: as the player does by itself
  let lastCaptions = recall(); // what the captions key brings back
  let player = null;

  function choose(kind, value) {
    wanted[kind] = value;
    if (kind === "captions") {
      if (value !== OFF) lastCaptions = value;
      remember(value);
    }
    refresh();
  }

  // The list of each choice, and the player made to do what was chosen.
  function refresh() {
    if (!player) return;
    const rungs = player.qualities().toSorted((one, other) => other.bitrate - one.bitrate);
    fill(quality, [[AUTO, automatic()], ...rungs.map((one) => [rungName(one), rungName(one)])], wanted.quality);
    obey(rungs, rungName, wanted.quality, AUTO, (id) => player.chooseQuality(id));
    quality.root.hidden = rungs.length < 2;

    const sounds = player.audios();
    fill(
      audio,
      sounds.map((one) => [trackName(one), trackName(one)]),
      wanted.audio ?? nameOfActive(sounds),
    );
    obey(sounds, trackName, wanted.audio, null, (id) => player.chooseAudio(id));
    audio.root.hidden = sounds.length < 2;

    const texts = player.captions();
    // Captions of another film may be in other languages.
    const shown = texts.some((one) => trackName(one) === wanted.captions) ? wanted.captions : OFF;
    fill(captions, [[OFF, "Off"], ...texts.map((one) => [trackName(one), trackName(one)])], shown);
    obey(texts, trackName, shown, OFF, (id) => player.chooseCaptions(id));
    captions.root.hidden = !texts.length;
    onchange({ hasCaptions: texts.length > 0, showsCaptions: shown !== OFF });
  }

  function automatic() {
    const now = player.stats();
    return now && wanted.quality === AUTO ? `Auto (${now.height}p)` : "Auto";
  }

  function toggleCaptions() {
    const texts = player?.captions() ?? [];
    if (!texts.length) return false;
    const names = texts.map(trackName);
    const other = names.includes(lastCaptions) ? lastCaptions : names[0];
    choose("captions", names.includes(wanted.captions) ? OFF : other);
    return true;
  }

  function setSpeed(value) {
    // Attaching a source takes the default, so a player's restart keeps the speed.
    video.defaultPlaybackRate = video.playbackRate = value;
  }

  function stepSpeed(by) {
    const index = SPEEDS.findIndex((one) => one >= video.playbackRate - 0.01);
    setSpeed(SPEEDS[Math.min(Math.max(index + by, 0), SPEEDS.length - 1)]);
    return video.playbackRate;
  }

  const showSpeed = () =>
    fill(
      speed,
      SPEEDS.map((one) => [String(one), one === 1 ? "Normal" : `${one}×`]),
      String(video.playbackRate),
    );
  video.addEventListener("ratechange", showSpeed);
  showSpeed();

  return {
    panel,
    refresh,
    stepSpeed,
    toggleCaptions,
    use(created) {
      player = created;
    },
  };
}

function choice(label, onchoose) {
  const select = element("select", { onchange: () => onchoose(select.value) });
  return { select, root: element("label", { class: "setting" }, element("span", { text: label }), select) };
}

function fill({ select }, options, value) {
  const told = JSON.stringify(options);
  const isOpen = document.activeElement === select && select.options.length > 0; // a list must not change under a finger
  if (select.dataset.told !== told && !isOpen) {
    select.dataset.told = told;
    select.replaceChildren(...options.map(([name, text]) => element("option", { value: name, text })));
  }
  if (value !== null && value !== undefined && select.value !== value) select.value = value;
}

// Makes the player show what was chosen, if it offers it and shows something else.
function obey(tracks, nameOf, chosen, none, tell) {
  if (chosen === null) return;
  const active = tracks.find((track) => track.active);
  if (chosen === none) {
    if (active) tell(null);
    return;
  }
  const track = tracks.find((one) => nameOf(one) === chosen);
  if (track && !track.active) tell(track.id);
}

function nameOfActive(tracks) {
  const active = tracks.find((track) => track.active);
  return active ? trackName(active) : null;
}

function trackName({ label, language }) {
  if (label) return label;
  try {
    return new Intl.DisplayNames([navigator.language], { type: "language" }).of(language) ?? language;
  } catch {
    return language || "Unnamed";
  }
}

// Captions are chosen once for all films; a browser that keeps nothing has them off.
function recall() {
  try {
    return localStorage.getItem("captions");
  } catch {
    return null;
  }
}

function remember(value) {
  try {
    localStorage.setItem("captions", value);
  } catch {
    // Then this film alone has them.
  }
}

function rungName({ height, bitrate }) {
  return `${height}p, ${rate(bitrate)}`;
}
