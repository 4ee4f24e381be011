// Pictures of the film for the seek bar, from the sheets of thumbnails that its package has.
//
// A sheet has the pictures of some minutes, is asked for only when a viewer looks for one of them, and with low
// priority. Whatever fails here, there is just no picture.

const KEPT = 4; // sheets, of up to 6 MB each when they are decoded
const LIMIT_MS = 8000; // of one request
const FAILURES = 3; // in a row, and pictures are given up

// `thumbnails` is what the title's JSON says of them, or null; `base()` is the URL of the package's folder on the
// appliance in use, "" while none is known; `onready(time)` is told when a picture came that `at` could not give before.
export function previews({ thumbnails, base, onready }) {
  const sheets = new Map(); // number -> the decoded sheet, the longest unused first
  const picture = document.createElement("canvas");
  let wanted = null;
  let isBusy = false;
  let failures = 0;

  // A canvas with the picture at a time; null if it is not there yet, and then it is asked for.
  function at(time) {
    if (!thumbnails) return null;
    const { number, x, y } = placeOf(thumbnails, time);
    const sheet = sheets.get(number);
    if (!sheet) {
      wanted = time;
      work();
      return null;
    }
    sheets.delete(number);
    sheets.set(number, sheet);
    const { width, height } = thumbnails;
    Object.assign(picture, { width, height });
    picture.getContext("2d").drawImage(sheet, x, y, width, height, 0, 0, width, height);
    return picture;
  }

  // One at a time, and always the last that was asked for: a pointer that moves on leaves the others behind.
  async function work() {
    if (isBusy || wanted === null || failures >= FAILURES || !base()) return;
    isBusy = true;
    const time = wanted;
    wanted = null;
    try {
      const { number } = placeOf(thumbnails, time);
      if (!sheets.has(number)) sheets.set(number, await read(base() + thumbnails.file.replace("$Number$", number)));
      if (sheets.size > KEPT) sheets.delete(sheets.keys().next().value);
      failures = 0;
      onready(time);
    } catch {
      failures += 1;
      wanted ??= time;
    }
    isBusy = false;
    work();
  }

  return { at };
}

// On which sheet the picture of a time is, and where.
function placeOf({ columns, rows, width, height, interval, count }, time) {
  const picture = Math.min(Math.max(Math.floor(time / interval), 0), count - 1);
  const cell = picture % (columns * rows);
  return {
    number: Math.floor(picture / (columns * rows)) + 1,
    x: (cell % columns) * width,
    y: Math.floor(cell / columns) * height,
  };
}

async function read(url) {
  const response = await fetch(url, { priority: "low", signal: AbortSignal.timeout(LIMIT_MS) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return createImageBitmap(await response.blob());
}
