// Pictures of the film for the seek bar, made from what a package has: its I-frame playlist.
//
// The smallest rung's I-frames are read by byte range, decoded by a video element that nobody sees, and kept. One
// costs 2 to 30 kB, is asked for only when a viewer looks for it, and with low priority. A MediaSource decodes them and
// not WebCodecs: that needs HTTPS, and a site's own network may have none. Whatever fails here, there is just no picture.

const KEPT = 240; // pictures of 57 kB each
const WIDTH = 160;
const LIMIT_MS = 8000; // of one request, or of decoding one picture
const AGAIN_MS = 20; // between two looks for a picture that a decoder has not given out yet
const FAILURES = 3; // in a row, and pictures are given up

// `base()` is the URL of the package's folder on the appliance in use, "" while none is known; `onready(time)` is told
// when a picture came that `at` could not give before.
export function previews({ base, onready }) {
  const pictures = new Map(); // number of the I-frame -> canvas, the longest unused first
  let index = null; // of the I-frames, once it is read
  let decoder = null;
  let wanted = null;
  let isBusy = false;
  let failures = 0;

  // The picture at a time, or the nearest before it that is there; null for none. Asks for it if it has to.
  function at(time) {
    const number = index ? numberAt(index.frames, time) : null;
    const picture = pictures.get(number);
    if (picture) {
      pictures.delete(number);
      pictures.set(number, picture);
      return picture;
    }
    wanted = time;
    work();
    return null;
  }

  // One at a time, and always the last that was asked for: a pointer that moves on leaves the others behind.
  async function work() {
    if (isBusy || wanted === null || failures >= FAILURES || !base()) return;
    isBusy = true;
    const time = wanted;
    wanted = null;
    try {
      index ??= await readIndex(base());
      decoder ??= await open(index, base());
      const number = numberAt(index.frames, time);
      if (!pictures.has(number)) pictures.set(number, await decoder(index.frames[number], base()));
      if (pictures.size > KEPT) pictures.delete(pictures.keys().next().value);
      failures = 0;
      onready(time);
    } catch {
      decoder = null; // a source buffer that failed takes nothing any more
      failures += 1;
      wanted ??= time;
    }
    isBusy = false;
    work();
  }

  return { at };
}

// The I-frames of the smallest rung: where they are, and when.
async function readIndex(base) {
  const master = await text(`${base}master.m3u8`);
  const rungs = [...master.matchAll(/^#EXT-X-I-FRAME-STREAM-INF:(.*)$/gm)].map(([, attributes]) => ({
    bandwidth: Number(/BANDWIDTH=(\d+)/.exec(attributes)[1]),
    codecs: /CODECS="([^"]+)"/.exec(attributes)[1],
    uri: /URI="([^"]+)"/.exec(attributes)[1],
  }));
  const { codecs, uri } = rungs.sort((one, other) => one.bandwidth - other.bandwidth)[0];
  const playlist = await text(base + uri);
  const frames = [];
  let start = 0;
  for (const [, duration, length, offset, file] of playlist.matchAll(
    /^#EXTINF:([\d.]+),.*\n#EXT-X-BYTERANGE:(\d+)@(\d+)\n(.+)$/gm,
  )) {
    frames.push({ start, first: Number(offset), last: Number(offset) + Number(length) - 1, file });
    start += Number(duration);
  }
  return { codecs, init: /#EXT-X-MAP:URI="([^"]+)"/.exec(playlist)[1], frames };
}

// A function that makes a picture of an I-frame.
async function open({ codecs, init }, base) {
  const video = document.createElement("video");
  video.muted = true;
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  await event(source, "sourceopen");
  URL.revokeObjectURL(video.src);
  const buffer = source.addSourceBuffer(`video/mp4; codecs="${codecs}"`);
  const update = async (change) => {
    const done = event(buffer, "updateend");
    change();
    await done;
  };
  const start = await bytes(base + init);
  await update(() => buffer.appendBuffer(start));

  return async (frame, base) => {
    const data = await bytes(base + frame.file, frame);
    // A decoder gives out a lone picture only when it is told that no other follows, so there must be no other.
    await update(() => buffer.remove(0, Infinity));
    await update(() => buffer.appendBuffer(data));
    buffer.abort(); // the range ends within its segment, after the first picture: what follows is a new segment
    source.endOfStream();
    const shown = event(video, "seeked");
    video.currentTime = frame.start + 0.001;
    await shown;
    return drawn(video);
  };
}

// A canvas with what the video shows. A browser may say "seeked" before it can give the picture out, and draws nothing
// until then; a film's pictures are opaque, so a transparent corner means that nothing was drawn.
async function drawn(video) {
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH;
  canvas.height = Math.round((WIDTH * video.videoHeight) / video.videoWidth);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  for (const end = performance.now() + LIMIT_MS; performance.now() < end; await pause(AGAIN_MS)) {
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    if (context.getImageData(0, 0, 1, 1).data[3]) return canvas;
  }
  throw new Error("no picture");
}

function numberAt(frames, time) {
  let [low, high] = [0, frames.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (frames[middle].start <= time) low = middle;
    else high = middle - 1;
  }
  return low;
}

async function text(url) {
  return (await ask(url)).text();
}

async function bytes(url, range) {
  return (await ask(url, range && { Range: `bytes=${range.first}-${range.last}` })).arrayBuffer();
}

async function ask(url, headers = {}) {
  const response = await fetch(url, { headers, priority: "low", signal: AbortSignal.timeout(LIMIT_MS) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response;
}

function pause(time_ms) {
  return new Promise((resolve) => setTimeout(resolve, time_ms));
}

function event(target, name) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${name}`)), LIMIT_MS);
    target.addEventListener(name, () => (clearTimeout(timer), resolve()), { once: true });
    target.addEventListener("error", () => (clearTimeout(timer), reject(new Error("error"))), { once: true });
  });
}
