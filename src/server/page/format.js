// Numbers, sizes and times as people read them.

// Made once: making one costs more than a thousand uses of it.
const GROUPED = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const CLOCK = dates({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const SHORT_CLOCK = dates({ hour: "2-digit", minute: "2-digit" });
const DAY = dates({ day: "numeric", month: "short" });
const DAY_OF_YEAR = dates({ day: "numeric", month: "short", year: "numeric" });
const IN_FULL = dates({ dateStyle: "full", timeStyle: "long" });
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function count(number) {
  return GROUPED.format(number);
}

/** A number with its word: `1 image`, `2 images`. */
export function several(number, word) {
  return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}

/** Three digits at most, in units of 1024. */
export function size(bytes) {
  let [value, unit] = [bytes, 0];
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.5 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** How long something takes: `4.2 s`, `3 min 10 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(seconds) {
  if (seconds < 0.95) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([length]) => whole >= length);
  const [length, unit] = parts[first];
  const [smaller, below] = parts[first + 1] ?? [];
  const rest = smaller ? Math.floor((whole % length) / smaller) : 0;
  return `${Math.floor(whole / length)} ${unit}${rest ? ` ${rest} ${below}` : ""}`;
}

/** How far a moment is from now, in one unit: `3 min ago`, `in 2 h`. */
export function relative(time, now) {
  const seconds = (time - now) / 1000;
  const away = Math.abs(seconds);
  if (away < 5) return seconds > 0 ? "any moment" : "just now";
  const [length, unit] = [[86400 * 2, 86400, "d"], [5400, 3600, "h"], [90, 60, "min"], [0, 1, "s"]]
    .find(([from]) => away >= from)
    .slice(1);
  const text = `${Math.round(away / length)} ${unit}`;
  return seconds > 0 ? `in ${text}` : `${text} ago`;
}

/** The time of a day; of another day or year, that too. */
export function absolute(time, now) {
  const [date, today] = [new Date(time), new Date(now)];
  if (date.toDateString() === today.toDateString()) return CLOCK.format(date);
  const day = date.getFullYear() === today.getFullYear() ? DAY : DAY_OF_YEAR;
  return `${day.format(date)}, ${SHORT_CLOCK.format(date)}`;
}

/** The time of a day, to the minute. */
export function clock(time) {
  return SHORT_CLOCK.format(new Date(time));
}

/** The moment in full, with its zone. */
export function exact(time) {
  return IN_FULL.format(new Date(time));
}

function dates(parts) {
  return new Intl.DateTimeFormat("en-GB", parts);
}

/** Enough of a digest to tell it from others. */
export function shortDigest(digest) {
  const [algorithm, hash] = digest.split(":");
  return `${algorithm}:${hash.slice(0, 12)}…`;
}
