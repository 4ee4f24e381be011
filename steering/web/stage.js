// The film and its controls.

import { choices } from "./choices.js";
import { clock, element } from "./element.js";
import { icon, iconButton, setIcon } from "./icons.js";
import { keyboard } from "./keys.js";
import { waitNote } from "./notice.js";
import { lengthOf, timeline } from "./timeline.js";

const HIDE_AFTER_MS = 2600;

export function stage(root, video, pictures, chapters) {
  const play = iconButton("play", "Play", "Space K", toggle);
  const mute = iconButton("sound", "Mute", "M", toggleSound);
  const captions = iconButton("captions", "Captions", "C", () => settings.toggleCaptions());
  const gear = iconButton("settings", "Settings", "", () => openSettings(settings.panel.hidden));
  const full = iconButton("full", "Full screen", "F", toggleFull);
  const volume = element("input", {
    class: "volume",
    type: "range",
    min: 0,
    max: 1,
    step: 0.05,
    "aria-label": "Volume",
  });
  const now = element("span", { text: "0:00" });
  const total = element("span", { text: "0:00" });
  const line = timeline(video, pictures, chapters);
  const settings = choices(video, { onchange: showCaptions });
  const keys = keyboard(
    {
      toggle,
      seekBy: (seconds) => seek(video.currentTime + seconds),
      seekTo: (share) => seek(share * lengthOf(video)),
      louder,
      mute: toggleSound,
      full: toggleFull,
      captions: () => settings.toggleCaptions(),
      speed: (by) => (flash(`${settings.stepSpeed(by)}×`), true),
      escape: () => !settings.panel.hidden && (openSettings(false), gear.focus(), true),
    },
    { line: line.root.querySelector("input"), volume, onuse: wake },
  );
  const help = iconButton("help", "Keyboard", "?", () => keys.help.showModal());
  help.classList.add("keyboard-only");
  const controls = element(
    "div",
    { class: "controls", role: "group", "aria-label": "Player controls" },
    line.root,
    element(
      "div",
      { class: "row" },
      play,
      mute,
      volume,
      element("span", { class: "clock" }, now, element("span", { class: "faint", text: " / " }), total),
      element("span", { class: "spring" }),
      help,
      captions,
      gear,
      full,
    ),
  );
  const big = element(
    "button",
    { class: "big", type: "button", "aria-label": "Play", tabindex: -1, onclick: toggle },
    icon("play"),
  );
  const spinner = element("div", { class: "spinner", role: "status", "aria-label": "Waiting for data", hidden: true });
  const shout = element("div", { class: "shout", "aria-hidden": "true" });
  let player = null;
  let hideTimer = 0;
  let shoutTimer = 0;
  const wait = waitNote(() => player?.retry());
  captions.hidden = true;
  captions.setAttribute("aria-pressed", "false");
  gear.setAttribute("aria-expanded", "false");
  gear.setAttribute("aria-controls", settings.panel.id);
  root.append(big, spinner, shout, wait.root, controls, settings.panel, keys.help);

  function toggle() {
    if (video.ended) video.currentTime = 0;
    // play() is refused when nobody touched the page yet; the button simply stays what it is.
    if (video.paused || video.ended) video.play().catch(() => {});
    else video.pause();
    return true;
  }
  function toggleSound() {
    video.muted = !video.muted;
    if (!video.muted && video.volume === 0) video.volume = 0.5;
    return true;
  }
  function toggleFull() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (root.requestFullscreen) root.requestFullscreen().catch(() => {});
    else video.webkitEnterFullscreen?.(); // iPhones: the video alone
    return true;
  }
  function louder(by) {
    video.muted = false;
    video.volume = Math.min(1, Math.max(0, video.volume + by));
    flash(`${Math.round(100 * video.volume)} %`);
    return true;
  }
  function seek(time) {
    video.currentTime = Math.min(Math.max(0, time), lengthOf(video));
    return true;
  }
  function openSettings(open) {
    settings.refresh();
    settings.panel.hidden = !open;
    gear.setAttribute("aria-expanded", String(open));
    if (open) settings.panel.querySelector("label:not([hidden]) select").focus({ preventScroll: true });
  }
  function showCaptions({ hasCaptions, showsCaptions }) {
    captions.hidden = !hasCaptions;
    captions.classList.toggle("on", showsCaptions);
    captions.setAttribute("aria-pressed", String(showsCaptions));
  }
  // What a key did to what is not seen otherwise.
  function flash(text) {
    shout.textContent = text;
    shout.classList.add("on");
    clearTimeout(shoutTimer);
    shoutTimer = setTimeout(() => shout.classList.remove("on"), 700);
  }
  function wake() {
    root.classList.remove("idle");
    clearTimeout(hideTimer);
    hideTimer = setTimeout(sleep, HIDE_AFTER_MS);
  }
  function sleep() {
    const isUsed = controls.matches(":has(:focus-visible)") || !settings.panel.hidden;
    if (!video.paused && !isUsed) root.classList.add("idle");
  }
  function render() {
    now.textContent = clock(video.currentTime);
    total.textContent = clock(Math.round(lengthOf(video)));
    const state = video.ended ? "again" : video.paused ? "play" : "pause";
    const label = { again: "Play again", play: "Play", pause: "Pause" }[state];
    setIcon(play, state, label);
    setIcon(big, state, label);
    big.classList.toggle("resting", state === "pause");
    const isSilent = video.muted || video.volume === 0;
    setIcon(mute, isSilent ? "mute" : "sound", isSilent ? "Unmute" : "Mute");
    volume.value = video.muted ? 0 : video.volume;
    volume.style.setProperty("--done", `${volume.value * 100}%`);
  }

  volume.addEventListener("input", () => {
    video.volume = Number(volume.value);
    video.muted = video.volume === 0;
  });
  video.addEventListener("click", ({ pointerType }) => {
    if (!settings.panel.hidden) return openSettings(false);
    if (pointerType !== "touch") return toggle();
    // A finger has no hover: it brings the controls first, and the big button among them.
    if (root.classList.contains("idle")) wake();
    else sleep();
  });
  video.addEventListener("dblclick", toggleFull);
  for (const name of ["timeupdate", "play", "pause", "ended", "durationchange", "volumechange"]) {
    video.addEventListener(name, render);
  }
  for (const name of ["pause", "ended"]) video.addEventListener(name, wake);
  const waiting = (is) => () => {
    spinner.hidden = !is;
    root.classList.toggle("loading", is);
  };
  video.addEventListener("waiting", waiting(true));
  for (const name of ["playing", "canplay", "pause", "ended", "seeked"]) video.addEventListener(name, waiting(false));
  for (const name of ["pointermove", "pointerdown", "focusin"]) {
    root.addEventListener(name, ({ pointerType, target }) => (pointerType !== "touch" || target !== video) && wake());
  }
  root.addEventListener("play", wake, true);
  document.addEventListener("click", ({ target }) => {
    if (!settings.panel.hidden && !settings.panel.contains(target) && !gear.contains(target)) openSettings(false);
  });
  render();

  return {
    use(created) {
      player = created;
      settings.use(created);
    },
    // Players learn of tracks at different moments, and lose them.
    refresh: settings.refresh,
    repaint: line.repaint,
    wait: wait.show,
  };
}
