// The live state that every part of the page draws from. It is begun with a snapshot, and the server
// sends patches; ages run by the city's clock here, so that nothing is sent while nothing happens.
import { markRaw, reactive, shallowReactive } from "vue";

const READINGS_SHOWN = 30;
const SILENT_AFTER_MS = 5000; // the server says something each second
const AGAIN_MS = 1000;
const ZONE_MS = 7 * 3600000; // Western Indonesia Time, no daylight saving

export const city = reactive({
  setting: markRaw({ words: {}, states: {}, glyphs: {}, units: {}, notes: [], rate: 1 }),
  devices: shallowReactive({}),
  readings: shallowReactive([]),
  tiles: [],
  trend: markRaw({ times: [], shares: {} }),
  now: 0,
  readAt: 0,
  away: false,
  silent: false,
  night: false,
  site: "", // empty: all
});

const clock = { cityMs: 0, at: 0, rate: 1, heardAt: 0, askedAt: 0 };
const markListeners = new Set();
let early = []; // patches that came before the snapshot; null once it is there

export function begin(setting) {
  city.setting = markRaw(setting);
  clock.rate = setting.rate;
  if (setting.live) fetchSnapshot();
  else early = null; // a page that doesn't follow the whole city needs no snapshot of it
  document.documentElement.lang = setting.language;
  setNight(storedNight() ?? matchMedia("(prefers-color-scheme: dark)").matches, false);
  setInterval(tick, 500);
}

// Many pages share one answer of the server's, which may be one change old: what came meanwhile is
// put on top of it.
async function fetchSnapshot() {
  try {
    const answer = await fetch(`${window.path_prefix ?? ""}/api/board`);
    if (!answer.ok) throw new Error(`/api/board: ${answer.status}`);
    const snapshot = await answer.json();
    const later = early.filter((patch) => patch.number > snapshot.number);
    early = null;
    [snapshot, ...later].forEach(apply);
  } catch (error) {
    console.info(error);
    setTimeout(fetchSnapshot, AGAIN_MS);
  }
}

export function apply(patch) {
  if (early !== null) {
    early.push(patch);
    return;
  }
  const wall = performance.now();
  Object.assign(clock, { cityMs: patch.now_ms, at: wall, heardAt: wall });
  city.readAt = patch.read_ms;
  city.away = patch.away ?? false;
  const marks = patch.marks ?? [];
  for (const mark of marks) city.devices[mark.id] = markRaw(mark);
  const removed = patch.removed ?? [];
  for (const id of removed) delete city.devices[id];
  if (marks.length || removed.length)
    for (const listener of markListeners) listener(marks, removed);
  const shown = city.readings[0]?.number ?? 0;
  const readings = (patch.readings ?? []).filter((seen) => seen.number > shown).map(markRaw).reverse();
  if (readings.length) {
    city.readings.unshift(...readings);
    city.readings.splice(READINGS_SHOWN);
  }
  if (patch.tiles) city.tiles = patch.tiles;
  if (patch.trend) city.trend = markRaw(patch.trend);
  tick();
}

export function onMarks(listener) {
  markListeners.add(listener);
  return () => markListeners.delete(listener);
}

function tick() {
  const wall = performance.now();
  city.now = clock.cityMs + (wall - clock.at) * clock.rate;
  city.silent = wall - clock.heardAt > SILENT_AFTER_MS;
  if (city.silent && wall - clock.askedAt > SILENT_AFTER_MS) {
    clock.askedAt = wall;
    askWhetherLoggedIn();
  }
}

// A session that is over is told by nothing but silence; loading the page again leads to the log-in.
async function askWhetherLoggedIn() {
  try {
    const answer = await fetch(`${window.path_prefix ?? ""}/api/visitor`);
    if (answer.status === 401) location.reload();
  } catch (error) {
    console.info(error); // the server is away
  }
}

// Words. {n} in a text is replaced by `n`.
export function t(key, n = "") {
  const text = city.setting.words[key];
  return text === undefined ? key.split(".").pop().replaceAll("_", " ") : text.replace("{n}", n);
}

export function number(value, digits = 0) {
  return value.toLocaleString(city.setting.language, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

export function span(ms) {
  const s = Math.max(0, ms / 1000);
  if (s < 100) return `${Math.floor(s)} ${t("unit.s")}`;
  if (s < 6000) return `${Math.floor(s / 60)} ${t("unit.min")}`;
  if (s < 172800) return `${Math.floor(s / 3600)} ${t("unit.h")}`;
  return `${Math.floor(s / 86400)} ${t("unit.d")}`;
}

export function age(timeMs) {
  const ms = city.now - timeMs;
  return ms < 1000 ? t("age.now") : t("age.ago", span(ms));
}

export function timeOfDay(timeMs, seconds = true) {
  return new Date(timeMs + ZONE_MS).toISOString().slice(11, seconds ? 19 : 16);
}

export function date(timeMs) {
  return new Date(timeMs + ZONE_MS).toLocaleDateString(city.setting.language, {
    timeZone: "UTC",
    weekday: "long",
    day: "numeric",
    month: "long",
    year: "numeric",
  });
}

export function title(name) {
  return name.replace(/[-_]/g, " ").replace(/(^| )\w/g, (letter) => letter.toUpperCase());
}

export function ofKind(kind) {
  return Object.values(city.devices)
    .filter((mark) => mark.kind === kind)
    .sort((a, b) => a.name.localeCompare(b.name));
}

// The largest first.
export function sites() {
  const counts = {};
  for (const mark of Object.values(city.devices)) counts[mark.site] = (counts[mark.site] ?? 0) + 1;
  return Object.keys(counts).sort((a, b) => counts[b] - counts[a] || a.localeCompare(b));
}

const SHARES = new Set(["filling_level", "battery_level", "loss_ratio", "channel_utilization"]);

export function fieldText(name, value) {
  if (typeof value === "string") return city.setting.words[`value.${value}`] ?? value;
  if (SHARES.has(name)) return `${number(value * 100)} %`;
  const digits = Number.isInteger(value) ? 0 : Math.abs(value) < 10 ? 1 : 0;
  const unit = city.setting.units[name];
  return unit ? `${number(value, digits)} ${unit}` : number(value, digits);
}

// What one reading says in a few words: the state, and the number behind it.
export function summary(kind, state, fields) {
  const parts = [];
  if (kind === "waste_container" && fields.filling_level !== undefined)
    parts.push(fieldText("filling_level", fields.filling_level));
  if (kind === "wifi_access_point") {
    if (fields.clients !== undefined) parts.push(t("unit.people", number(fields.clients)));
    if (fields.latency_ms !== undefined) parts.push(fieldText("latency_ms", fields.latency_ms));
  }
  if (state !== "unknown") parts.unshift(t(`state.${state}`));
  if (!parts.length)
    for (const [name, value] of Object.entries(fields).slice(0, 2))
      parts.push(`${t(`field.${name}`)} ${fieldText(name, value)}`);
  return parts.join(" · ");
}

function storedNight() {
  const stored = localStorage.getItem("gampong.night");
  return stored === null ? null : stored === "1";
}

export function setNight(night, store = true) {
  city.night = night;
  document.documentElement.dataset.theme = night ? "night" : "day";
  if (store) localStorage.setItem("gampong.night", night ? "1" : "0");
}

window.gampong = { apply };
