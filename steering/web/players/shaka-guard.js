// Shaka Player 5.2: what no setting does. Goes on when an appliance is back, after no location answered for long.

import { ahead, backOff } from "./back-off.js";

// After a failure of everything Shaka may sit there without a request and without an error (1 play in 20).
const SILENCE_MS = 8000;
const WATCH_EVERY_MS = 1000;
const DRY_S = 1;
const NEAR_END_S = 0.5;

// `say(fatal, text)` hears of each error; `url` is the manifest. Returns { load, restart, close }.
export function guard(shaka, player, video, url, { start, say }) {
  const { Category, Code, Severity } = shaka.util.Error;
  const wait = backOff(video);
  let restartTimer = 0;
  let isLoaded = false;
  let heardAt = performance.now();

  const later = (work) => {
    clearTimeout(restartTimer);
    restartTimer = setTimeout(work, wait.next());
  };

  // The manifest comes from steering, so a failure here is worth asking again, for ever.
  const load = async (from = start) => {
    isLoaded = false;
    try {
      await player.load(url, from >= 0 ? from : undefined);
      isLoaded = true;
      heardAt = performance.now();
    } catch (error) {
      if (error.code === Code.LOAD_INTERRUPTED || error.code === Code.OBJECT_DESTROYED) return;
      const isHopeless = error.category !== undefined && error.category !== Category.NETWORK;
      say(isHopeless, describe(shaka, error));
      if (!isHopeless) later(() => load(from));
    }
  };

  const restart = () => {
    clearTimeout(restartTimer);
    if (isLoaded) player.retryStreaming();
    else load();
  };

  const watch = () => {
    const isFed =
      video.paused || ahead(video) > DRY_S || video.currentTime + ahead(video) > video.duration - NEAR_END_S;
    if (!isLoaded || isFed || performance.now() - heardAt < SILENCE_MS) return;
    say(false, "nothing arrived, Shaka is started again");
    load(video.currentTime);
  };
  const watcher = setInterval(watch, WATCH_EVERY_MS);

  player.addEventListener("error", ({ detail }) => {
    const isNetwork = detail.category === Category.NETWORK;
    const isFatal = detail.severity === Severity.CRITICAL;
    say(isFatal && !isNetwork, describe(shaka, detail));
    if (isFatal && isNetwork) later(restart);
  });
  player.addEventListener("segmentappended", () => {
    wait.reset();
    heardAt = performance.now();
  });

  return {
    load,
    restart,
    close() {
      clearInterval(watcher);
      clearTimeout(restartTimer);
    },
  };
}

function describe(shaka, error) {
  const name = Object.entries(shaka.util.Error.Code).find(([, code]) => code === error.code)?.[0];
  return name ? `${name} (${error.code})` : (error.message ?? "error");
}
