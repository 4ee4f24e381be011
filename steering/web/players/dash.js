// Plays DASH with dash.js, with settings that survive an appliance that dies, refuses or falls silent.

import { MediaPlayer } from "../lib/dash.js";

// dash.js stops asking for good when every location failed at once; it is woken when nothing came for so long.
const SILENCE_MS = 10_000;
const LONGEST_SILENCE_MS = 30_000;
const WATCH_EVERY_MS = 1000;
// With less ahead than this a silent appliance must be left sooner.
const THIN_BUFFER_S = 10;

export async function create(video, url, events, { bufferGoal }) {
  const isThin = (bufferGoal ?? Infinity) < THIN_BUFFER_S;
  const goal = bufferGoal ?? 30;
  const player = MediaPlayer().create();
  player.initialize();
  player.updateSettings({
    debug: { logLevel: 0 },
    streaming: {
      applyContentSteering: true,
      buffer: {
        // Half a minute ahead outlasts an appliance's restart, at the top rung too.
        bufferTimeDefault: goal,
        bufferTimeAtTopQuality: goal,
        bufferTimeAtTopQualityLongForm: goal,
      },
      // Default 3, on the same appliance, a second apart. Another location has the same bytes: one more attempt at a
      // silent one cost 4 s and a stall of 3 s.
      retryAttempts: { MediaSegment: 0, InitializationSegment: 0, IndexSegment: 0 },
      // Default 20 s. It bounds the whole request, so it is no shorter than a 4 s segment of the lowest rung takes on a
      // link that can just play it.
      fragmentRequestTimeout: isThin ? 3000 : 5000,
      // Default off. A transfer that stops half-way is given up after this, however long a slow one may take.
      fragmentRequestProgressTimeout: 2500,
      manifestRequestTimeout: 8000,
      // Default 0.5 s. Where dash.js notices the end of the film before the video element does, it seeks to the end and
      // pauses; moved back by so much, the film would stand there for ever, neither playing nor ended (1 play in 10).
      seekDurationBackoff: 0,
    },
  });

  let heardAt = performance.now();
  let patience = SILENCE_MS;
  let playedTo = 0; // attaching a source sets the position to zero before anybody can read it
  let resumes = false; // ... and pauses; if it fails, the next attempt finds the film paused by the first

  const isSatisfied = () => {
    const end = Number.isFinite(video.duration) ? video.duration - 0.5 : Infinity;
    const ready = video.buffered.length ? video.buffered.end(video.buffered.length - 1) : 0;
    // A segment shorter than the goal is as far as dash.js loads, and a paused film needs nothing.
    return video.ended || ready >= end || ready - video.currentTime > goal - THIN_BUFFER_S / 2;
  };
  const watch = () => {
    if (isSatisfied()) heardAt = performance.now();
    if (performance.now() - heardAt < patience) return;
    heardAt = performance.now();
    patience = Math.min(patience * 2, LONGEST_SILENCE_MS);
    events.error({ fatal: false, text: "nothing arrived, dash.js is woken" });
    if (video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA) {
      // A seek to where the film is starts its schedule again and keeps what is loaded.
      player.seek(video.currentTime);
      return;
    }
    // Nothing is left to lose: from the manifest on, at the place where the film stopped.
    resumes ||= !video.paused;
    player.attachSource(url, playedTo > 0 ? playedTo : undefined);
    if (resumes) player.play();
  };
  const watcher = setInterval(watch, WATCH_EVERY_MS);
  const remember = () => {
    if (video.currentTime > 0) playedTo = video.currentTime;
    if (!video.paused) resumes = false;
  };
  video.addEventListener("timeupdate", remember);

  player.on(MediaPlayer.events.ERROR, ({ error }) => {
    const text = (error?.message ?? String(error)).replace(/https?:\/\/([^/\s]+)\S*/, "$1");
    events.error({ fatal: false, text: text.split("\n")[0].slice(0, 120) });
  });
  player.on(MediaPlayer.events.FRAGMENT_LOADING_COMPLETED, ({ error }) => {
    if (error) return;
    heardAt = performance.now();
    patience = SILENCE_MS;
  });

  player.attachView(video);
  player.attachSource(url);

  return {
    name: "dash",
    stats() {
      const now = player.getCurrentRepresentationForType("video");
      return now ? { width: now.width, height: now.height, bitrate: now.bandwidth } : null;
    },
    captions: () =>
      player.getTracksFor("text").map((track, id) => ({
        id,
        label: track.labels?.[0]?.text ?? track.lang ?? "",
        language: track.lang ?? "",
      })),
    showCaptions(id) {
      player.enableText(id !== null);
      player.setTextTrack(id ?? -1);
    },
    destroy() {
      clearInterval(watcher);
      video.removeEventListener("timeupdate", remember);
      player.destroy();
    },
  };
}
