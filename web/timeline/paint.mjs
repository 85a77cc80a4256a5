// Draws a view's cells on a canvas. Shape tells what colour tells: bars are high, low, cut, or have a dot.
const BAND = { top: 29, height: 10 }; // local errors, under the bars
const BAR = 26;
export const HEIGHT = 40; // CSS pixels

const SHARE = { computed: 1, refused: 1, forecast: 0.35, open: 0.12 }; // of the height of a bar
const COLOURS = { computed: "#3b82f6", refused: "#f59e0b", forecast: "#38bdf8", open: "#8a8a8a" };
const [BASELINE, ERROR, CORRECTED] = ["#8a8a8a66", "#8a8a8a", "#ffffff"];
const PALE = 0.4; // what has not happened yet
const [FINEST, COARSEST] = [1e-4, 1]; // local errors that the band spans, logarithmically

/** @param {{kind: string, action?: string, corrected?: boolean, error?: number}[]} cells one for each step */
export function paint(context, width, cells) {
  context.clearRect(0, 0, width, HEIGHT);
  context.fillStyle = BASELINE;
  context.fillRect(0, BAR, width, 1);
  const pitch = width / Math.max(cells.length, 1);
  cells.forEach((cell, step) => {
    bar(context, step * pitch, Math.max(pitch - (pitch > 3 ? 1 : 0), 0.5), cell);
    if (cell.error) dot(context, (step + 0.5) * pitch, BAND.top + BAND.height * depth(cell.error), 1.5, ERROR);
  });
}

/** The index of the cell under x, -1 beside the bars. */
export function cellAt(x, width, cells) {
  return x >= 0 && x < width ? Math.floor((x / width) * cells.length) : -1;
}

function bar(context, x, width, cell) {
  const state = cell.action ?? cell.kind;
  const height = BAR * SHARE[state];
  context.globalAlpha = cell.action ? 1 : PALE;
  context.fillStyle = COLOURS[state];
  context.fillRect(x, BAR - height, width, height);
  context.globalAlpha = 1;
  if (cell.action === "refused") context.clearRect(x, BAR - height * 0.6, width, 3);
  if (cell.corrected) dot(context, x + width / 2, 4, Math.min(2, width / 2), CORRECTED);
}

function depth(error) {
  const share = Math.log(error / FINEST) / Math.log(COARSEST / FINEST);
  return 1 - Math.min(1, Math.max(0, share));
}

function dot(context, x, y, radius, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.arc(x, y, Math.max(radius, 0.75), 0, 2 * Math.PI);
  context.fill();
}
