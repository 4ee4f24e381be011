// What really happens to the viewer: stalls as the video element has them, appliances as the requests went.
//
// Nothing here asks the player. Requests are read from the browser's own resource timing, so a player that believes to
// be on one appliance and fetches from another is shown where it fetches.

const SEGMENT = /\/v1\/[^/]+\/[^/]+\/([^/]+)\/\d+\.m4s$/;

export function watch(video, { player, videoRenditions, origins }) {
  const started = performance.now();
  const stats = {
    player,
    session: "",
    steering: "", // the newest steering URI's session token
    appliance: "",
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
      return ahead(video);
    },
    get stallSeconds() {
      return stalled + (stallingSince === null ? 0 : (performance.now() - stallingSince) / 1000);
    },
    get stalling() {
      return stallingSince !== null;
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

  const endStall = () => {
    if (stallingSince === null) return;
    stalled += (performance.now() - stallingSince) / 1000;
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
      endStall();
    },
    seeking: endStall,
    pause: endStall,
    ended: endStall,
  };
  for (const [name, listener] of Object.entries(listeners)) video.addEventListener(name, listener);

  const observer = new PerformanceObserver((list) => list.getEntries().forEach(note));
  observer.observe({ type: "resource", buffered: true });

  function note(entry) {
    const url = new URL(entry.name);
    if (url.pathname.startsWith("/steer/")) stats.steering = url.searchParams.get("s") ?? stats.steering;
    const segment = SEGMENT.exec(url.pathname);
    // A request that failed says nothing about who serves (status 0: no answer).
    if (!segment || entry.startTime < started || entry.responseStatus === 0 || entry.responseStatus >= 400) return;
    const appliance = origins.get(url.origin) ?? url.host;
    stats.requests[appliance] = (stats.requests[appliance] ?? 0) + 1;
    // Audio may lag a switch by a segment; what is seen on screen is where the video comes from.
    if (!videoRenditions.has(segment[1]) || appliance === stats.appliance) return;
    if (stats.appliance) {
      stats.switches.push({ at: round(video.currentTime), from: stats.appliance, to: appliance });
    }
    stats.appliance = appliance;
  }

  return {
    stats,
    close() {
      observer.disconnect();
      for (const [name, listener] of Object.entries(listeners)) video.removeEventListener(name, listener);
    },
  };
}

function ahead(video) {
  for (let i = 0; i < video.buffered.length; i += 1) {
    // A tenth of a second: audio and video seldom start at the same sample.
    if (video.buffered.start(i) <= video.currentTime + 0.1 && video.buffered.end(i) > video.currentTime) {
      return round(video.buffered.end(i) - video.currentTime);
    }
  }
  return 0;
}

function round(seconds) {
  return Math.round(seconds * 100) / 100;
}
