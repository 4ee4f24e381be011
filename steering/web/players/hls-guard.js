// hls.js 1.7: what no setting does. Leaves a pathway that sends nothing, and goes on after errors that it calls fatal.

import { ahead, backOff } from "./back-off.js";

// A request without a byte for so long is taken for dead. Steering and hls.js's own timeouts are slower: a hung transfer
// is noticed by neither before it has cost the buffer.
const SILENCE_MS = 2500;
// With little ahead there is less time to wait: half of what there is, but no less than a slow link's pause.
const SHORTEST_SILENCE_MS = 1000;
const WATCH_EVERY_MS = 250;
// hls.js forgives a pathway after 5 minutes and forgets it at once if steering names it first; a minute is what a reboot
// takes and what Shaka waits.
const AVOID_MS = 60_000;
// No fault of anybody's: said whenever a segment is fetched again at another rung; of what a seek or we ourselves aborted;
// and of a film that stands still, which is what the other errors do.
const HARMLESS = new Set(["bufferAppendNoProgress", "aborted", "bufferStalledError"]);
const MEDIA_RECOVERY_MS = 5000; // two media errors within it, and the film cannot be decoded

// `say(fatal, text)` hears of each error; `url` is the multivariant playlist. Returns { restart, close }.
export function guard(Hls, hls, video, url, say) {
  const underWay = new Map(); // kind of track -> the fragment that is loading, and when it last moved
  const avoided = new Map(); // pathway -> until when
  const wait = backOff(video);
  let restartTimer = 0;
  let mediaRecoveredAt = -Infinity;

  const pathway = () => hls.levels[hls.loadLevel]?.pathwayId;
  const isAvoided = (name) => (avoided.get(name) ?? 0) > performance.now();
  const avoidedLast = (priority) => [...priority.filter((name) => !isAvoided(name)), ...priority.filter(isAvoided)];

  const patience = () => {
    const names = hls.pathwayPriority ?? hls.pathways ?? [];
    // Where each was left already it is the viewer's own link that pauses: going round in circles would not help.
    if (names.every(isAvoided) || !video.played.length) return SILENCE_MS;
    return Math.min(Math.max(ahead(video) * 500, SHORTEST_SILENCE_MS), SILENCE_MS);
  };

  const leave = (silent) => {
    avoided.set(silent, performance.now() + AVOID_MS);
    underWay.clear();
    const others = avoidedLast(hls.pathwayPriority ?? hls.pathways ?? []);
    if (others.length < 2) return;
    hls.pathwayPriority = others;
    // The switch alone does not abort what hangs (seen: the fragment was never asked for again); stopping does.
    hls.stopLoad();
    hls.startLoad();
  };

  const watch = () => {
    const now = performance.now();
    for (const [kind, load] of underWay) {
      const loaded = load.frag.stats.loaded;
      if (loaded !== load.loaded) Object.assign(load, { loaded, movedAt: now });
      else if (now - load.movedAt > patience()) {
        say(false, `${load.pathway} sent no byte of ${kind} for ${((now - load.movedAt) / 1000).toFixed(1)} s`);
        leave(load.pathway);
        return;
      }
    }
  };

  const restart = () => {
    clearTimeout(restartTimer);
    if (hls.levels.length) hls.startLoad();
    else hls.loadSource(url);
  };

  // With so few retries a minute without any appliance is fatal to hls.js; the film goes on when one is back.
  const restartLater = () => {
    clearTimeout(restartTimer);
    restartTimer = setTimeout(restart, wait.next());
  };

  hls.on(Hls.Events.FRAG_LOADING, (_, { frag }) => {
    underWay.set(frag.type, { frag, loaded: 0, movedAt: performance.now(), pathway: pathway() });
  });
  for (const end of [Hls.Events.FRAG_LOADED, Hls.Events.FRAG_LOAD_EMERGENCY_ABORTED]) {
    hls.on(end, (_, { frag }) => underWay.delete(frag.type));
  }
  hls.on(Hls.Events.FRAG_BUFFERED, wait.reset);
  // Sent before hls.js applies the list: what the watchdog left a moment ago goes to its end, or steering that has not
  // noticed yet would send us straight back.
  hls.on(Hls.Events.STEERING_MANIFEST_LOADED, (_, { steeringManifest }) => {
    const priority = steeringManifest["PATHWAY-PRIORITY"];
    if (priority) priority.splice(0, priority.length, ...avoidedLast(priority));
  });
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (data.frag) underWay.delete(data.frag.type);
    if (HARMLESS.has(data.details)) return;
    const text = `${data.details}${data.response ? ` (${data.response.code})` : ""}`;
    if (!data.fatal) return say(false, text);
    if (data.type === Hls.ErrorTypes.NETWORK_ERROR) {
      say(false, text);
      restartLater();
    } else if (data.type === Hls.ErrorTypes.MEDIA_ERROR && performance.now() - mediaRecoveredAt > MEDIA_RECOVERY_MS) {
      say(false, text);
      mediaRecoveredAt = performance.now();
      hls.recoverMediaError();
    } else say(true, text);
  });
  const watcher = setInterval(watch, WATCH_EVERY_MS);

  return {
    restart,
    close() {
      clearInterval(watcher);
      clearTimeout(restartTimer);
    },
  };
}
