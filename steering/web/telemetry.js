// What really happens to the viewer: stalls as the video element has them, appliances as the requests went.
//
// Nothing here asks the player. Requests are read from the browser's own resource timing, so a player that believes to
// be on one appliance and fetches from another is shown where it fetches.

import { ahead } from "./players/back-off.js";

const SEGMENT = /^(.*\/v1\/[^/]+\/[^/]+\/)([^/]+)\/\d+\.m4s$/;

const SAME_STALL_MS = 500; // what ended so lately and begins again is one

// `origins` maps "http://127.0.1.1:8080" to the appliance's name; `onswitch(one)` hears of each change of appliance.
export function watch(video, { player, videoRenditions, origins, onswitch }) {
  const started = performance.now();
  const stats = {
    player,
    session: "",
    steering: "", // the newest steering URI's session token
    polls: { answered: 0, failed: 0, lastAt: null }, // lastAt: performance.now()
    events: 0, // CMCD reports sent
    appliance: "",
    base: "", // the URL of the package's folder on it
    switches: [],
    requests: {},
    errors: [],
    stalls: 0,
    rendition: null,
    pathways: [],
    get playing() {
      return !video.paused && !video.ended && video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA;
    },
    get ended() {
      return video.ended;
    },
    get time() {
      return video.currentTime;
    },
    get duration() {
      return Number.isFinite(video.duration) ? video.duration : 0;
    },
    get buffer() {
      return round(ahead(video));
    },
    get stallSeconds() {
      return stalled + this.stallingFor;
    },
    get stallingFor() {
      return stallingSince === null ? 0 : (performance.now() - stallingSince) / 1000;
    },
    get droppedFrames() {
      return video.getVideoPlaybackQuality().droppedVideoFrames;
    },
    get frames() {
      return video.getVideoPlaybackQuality().totalVideoFrames;
    },
  };
  let hasPlayed = false;
  let stalled = 0;
  let stallingSince = null;
  let stallEndedAt = -Infinity;
  let isReloading = false;

  const endStall = () => {
    if (stallingSince === null) return;
    stallEndedAt = performance.now();
    stalled += (stallEndedAt - stallingSince) / 1000;
    stallingSince = null;
  };
  const listeners = {
    // A stall is waiting that the viewer did not ask for: not the start, not a seek, not the end.
    waiting() {
      if (!hasPlayed || video.seeking || video.ended || stallingSince !== null) return;
      stats.stalls += 1;
      stallingSince = performance.now();
    },
    playing() {
      hasPlayed = true;
      isReloading = false;
      endStall();
    },
    // A player that starts again from the manifest pauses and seeks, and the viewer waits all the same.
    emptied() {
      isReloading = hasPlayed && !video.ended;
      if (!isReloading || stallingSince !== null) return;
      stallingSince = performance.now();
      if (stallingSince - stallEndedAt > SAME_STALL_MS) stats.stalls += 1;
    },
    seeking: () => isReloading || endStall(),
    pause: () => isReloading || endStall(),
    ended: endStall,
  };
  for (const [name, listener] of Object.entries(listeners)) video.addEventListener(name, listener);

  const observer = new PerformanceObserver((list) => list.getEntries().forEach(note));
  observer.observe({ type: "resource", buffered: true });

  function note(entry) {
    if (entry.startTime < started) return;
    const url = new URL(entry.name);
    // A request that failed says nothing about who serves (status 0: no answer).
    const isAnswered = entry.responseStatus !== 0 && entry.responseStatus < 400;
    if (url.pathname.startsWith("/steer/")) notePoll(url, entry, isAnswered);
    else if (url.pathname === "/cmcd") stats.events += 1;
    else if (isAnswered) noteSegment(url, entry);
  }

  function notePoll(url, entry, isAnswered) {
    stats.steering = url.searchParams.get("s") ?? stats.steering;
    stats.polls.lastAt = entry.startTime;
    if (isAnswered) stats.polls.answered += 1;
    else stats.polls.failed += 1;
  }

  function noteSegment(url, entry) {
    const [, folder, rendition] = SEGMENT.exec(url.pathname) ?? [];
    if (!folder) return;
    const appliance = origins.get(url.origin) ?? url.host;
    stats.requests[appliance] = (stats.requests[appliance] ?? 0) + 1;
    // Audio may lag a switch by a segment; what is seen on screen is where the video comes from.
    if (!videoRenditions.has(rendition)) return;
    stats.base = url.origin + folder;
    if (appliance === stats.appliance) return;
    const before = stats.appliance;
    stats.appliance = appliance;
    if (!before) return;
    const asked = (performance.timeOrigin + entry.startTime) / 1000; // seconds since 1970
    const one = { at: round(video.currentTime), asked, from: before, to: appliance, reason: "" };
    stats.switches.push(one);
    onswitch(one);
  }

  return {
    stats,
    close() {
      observer.disconnect();
      for (const [name, listener] of Object.entries(listeners)) video.removeEventListener(name, listener);
    },
  };
}

function round(seconds) {
  return Math.round(seconds * 100) / 100;
}
