// Plays HLS with hls.js, with settings that survive an appliance that dies, refuses or falls silent.

import Hls from "../lib/hls.js";

// A request without a byte for this long is taken for dead. Steering and hls.js's own timeouts are slower: a hung
// transfer is noticed by neither before it has cost the whole buffer.
const SILENCE_MS = 2500;
const WATCH_EVERY_MS = 250;
// hls.js forgives a pathway after 5 minutes and forgets it at once if steering names it first; a minute is what a reboot
// takes and what Shaka waits.
const AVOID_MS = 60_000;
const FIRST_RESTART_MS = 1000;
const LONGEST_RESTART_MS = 15_000;

export async function create(video, url, events, { bufferGoal }) {
  const hls = new Hls({
    // Half a minute ahead outlasts an appliance's restart; `bufferGoal` is for trying thin buffers.
    maxBufferLength: bufferGoal ?? 30,
    // Default 600: a low rung would be loaded minutes ahead, wasted when the viewer leaves or the picture gets better.
    maxMaxBufferLength: bufferGoal ?? 30,
    // Default unlimited: a two-hour film would end in a full source buffer.
    backBufferLength: 30,
    fragLoadPolicy: {
      default: {
        // An appliance answers within milliseconds, or fetches and answers within 2 s.
        maxTimeToFirstByteMs: 3000,
        // Default 120 s. The one setting that decides a hang: the first byte's timeout ends when headers have come.
        maxLoadTimeMs: 8000,
        // Do not ask the silent one again: another pathway has the same bytes.
        timeoutRetry: { maxNumRetry: 0, retryDelayMs: 0, maxRetryDelayMs: 0 },
        errorRetry: { maxNumRetry: 1, retryDelayMs: 300, maxRetryDelayMs: 1000 },
      },
    },
    playlistLoadPolicy: {
      default: {
        maxTimeToFirstByteMs: 3000,
        maxLoadTimeMs: 8000,
        timeoutRetry: { maxNumRetry: 0, retryDelayMs: 0, maxRetryDelayMs: 0 },
        errorRetry: { maxNumRetry: 1, retryDelayMs: 300, maxRetryDelayMs: 1000 },
      },
    },
    // Steering has no other pathway to go to, so it is asked again; hls.js retries after the TTL beyond that.
    steeringManifestLoadPolicy: {
      default: {
        maxTimeToFirstByteMs: 5000,
        maxLoadTimeMs: 8000,
        timeoutRetry: { maxNumRetry: 1, retryDelayMs: 0, maxRetryDelayMs: 0 },
        errorRetry: { maxNumRetry: 1, retryDelayMs: 1000, maxRetryDelayMs: 2000 },
      },
    },
  });

  const underWay = new Map(); // kind of track -> the fragment that is loading, and when it last moved
  const avoided = new Map(); // pathway -> until when
  let restartAfter = FIRST_RESTART_MS;
  let restartTimer = 0;
  let mediaRecoveredAt = -Infinity;

  const pathway = () => hls.levels[hls.loadLevel]?.pathwayId;

  const avoidedLast = (priority) => {
    const now = performance.now();
    const isAvoided = (name) => (avoided.get(name) ?? 0) > now;
    return [...priority.filter((name) => !isAvoided(name)), ...priority.filter(isAvoided)];
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
      else if (now - load.movedAt > SILENCE_MS) {
        events.error({ fatal: false, text: `${load.pathway} sent no byte of ${kind} for ${SILENCE_MS / 1000} s` });
        leave(load.pathway);
        return;
      }
    }
  };

  const restart = () => {
    // With so few retries a minute without any appliance is fatal to hls.js; the film goes on when one is back.
    clearTimeout(restartTimer);
    restartTimer = setTimeout(() => {
      if (hls.levels.length) hls.startLoad();
      else hls.loadSource(url);
    }, restartAfter);
    restartAfter = Math.min(restartAfter * 2, LONGEST_RESTART_MS);
  };

  hls.on(Hls.Events.FRAG_LOADING, (_, { frag }) => {
    underWay.set(frag.type, { frag, loaded: 0, movedAt: performance.now(), pathway: pathway() });
  });
  for (const end of [Hls.Events.FRAG_LOADED, Hls.Events.FRAG_LOAD_EMERGENCY_ABORTED]) {
    hls.on(end, (_, { frag }) => underWay.delete(frag.type));
  }
  hls.on(Hls.Events.FRAG_BUFFERED, () => {
    restartAfter = FIRST_RESTART_MS;
  });
  // Sent before hls.js applies the list: what the watchdog left a moment ago goes to its end, or steering that has not
  // noticed yet would send us straight back.
  hls.on(Hls.Events.STEERING_MANIFEST_LOADED, (_, { steeringManifest }) => {
    const priority = steeringManifest["PATHWAY-PRIORITY"];
    if (priority) priority.splice(0, priority.length, ...avoidedLast(priority));
  });
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (data.frag) underWay.delete(data.frag.type);
    // hls.js says so whenever it fetches a segment again at another rung: no fault of anybody's.
    if (data.details === Hls.ErrorDetails.BUFFER_APPEND_NO_PROGRESS) return;
    events.error({ fatal: data.fatal, text: `${data.details}${data.response ? ` (${data.response.code})` : ""}` });
    if (!data.fatal) return;
    if (data.type === Hls.ErrorTypes.NETWORK_ERROR) restart();
    else if (data.type === Hls.ErrorTypes.MEDIA_ERROR && performance.now() - mediaRecoveredAt > 5000) {
      mediaRecoveredAt = performance.now();
      hls.recoverMediaError();
    }
  });
  const watcher = setInterval(watch, WATCH_EVERY_MS);

  hls.loadSource(url);
  hls.attachMedia(video);

  return {
    name: "hls",
    stats() {
      const level = hls.levels[hls.currentLevel];
      return level ? { width: level.width, height: level.height, bitrate: level.bitrate } : null;
    },
    captions: () => hls.subtitleTracks.map((track, id) => ({ id, label: track.name, language: track.lang ?? "" })),
    showCaptions(id) {
      hls.subtitleTrack = id ?? -1;
      hls.subtitleDisplay = id !== null;
    },
    destroy() {
      clearInterval(watcher);
      clearTimeout(restartTimer);
      hls.destroy();
    },
  };
}
