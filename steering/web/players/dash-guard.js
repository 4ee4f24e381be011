// dash.js 5.2: what no setting does. It stops asking for good when every location failed at once; this starts it again.

import { ahead, backOff } from "./back-off.js";

const WATCH_EVERY_MS = 250;
// While there is more, nothing is done: starting again costs what is loaded, and no seek wakes dash.js (one to where the
// film is, or a millisecond beside it, asks for nothing).
const DRY_S = 1;
const SILENCE_MS = 3000;
// A request is bounded by fragmentRequestTimeout; what began longer ago has ended, whatever was said of it.
const LONGEST_REQUEST_MS = 6000;
const LONGEST_START_MS = 5000; // from the manifest to the first segment, unless it fails before
const NEAR_END_S = 0.5;

// `say(fatal, text)` hears of each error; `url` is the MPD. Returns { restart, close }.
export function guard(MediaPlayer, player, video, url, { start, say }) {
  const wait = backOff(video);
  let wakeAt = performance.now() + LONGEST_START_MS;
  let askedAt = -Infinity; // when the newest request began
  let isAsking = false;
  let playedTo = Math.max(start, 0); // attaching a source sets the position to zero before anybody can read it
  let resumes = false; // ... and pauses; if it fails, the next attempt finds the film paused by the first

  const isSatisfied = () =>
    video.ended || ahead(video) > DRY_S || video.currentTime + ahead(video) > video.duration - NEAR_END_S;

  // From the manifest on, at the place where the film stopped.
  const restart = () => {
    wakeAt = performance.now() + Math.max(wait.next(), LONGEST_START_MS);
    isAsking = false;
    resumes ||= !video.paused;
    player.attachSource(url, playedTo > 0 ? playedTo : undefined);
    if (resumes) player.play();
  };

  const watch = () => {
    const now = performance.now();
    const isWaiting = isAsking && now - askedAt < LONGEST_REQUEST_MS;
    if (now < wakeAt || isWaiting || isSatisfied()) return;
    say(false, "nothing arrived, dash.js is started again");
    restart();
  };

  const remember = () => {
    if (video.currentTime > 0) playedTo = video.currentTime;
    if (!video.paused) resumes = false;
  };

  const watcher = setInterval(watch, WATCH_EVERY_MS);
  video.addEventListener("timeupdate", remember);
  player.on(MediaPlayer.events.FRAGMENT_LOADING_STARTED, () => {
    askedAt = performance.now();
    isAsking = true;
  });
  player.on(MediaPlayer.events.FRAGMENT_LOADING_COMPLETED, ({ error }) => {
    isAsking = false;
    if (!error) wait.reset();
    wakeAt = performance.now() + (error ? wait.next() : SILENCE_MS);
  });
  player.on(MediaPlayer.events.ERROR, ({ error }) => {
    // What it reports to steering may be lost without harm.
    if (error?.data?.request?.type === "CmcdEvent") return;
    const text = (error?.message ?? String(error)).replace(/https?:\/\/([^/\s]+)\S*/, "$1");
    say(false, text.split("\n")[0].slice(0, 120));
  });

  return {
    restart,
    close() {
      clearInterval(watcher);
      video.removeEventListener("timeupdate", remember);
    },
  };
}
