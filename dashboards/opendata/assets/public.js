// Keeps the page live: asks every two seconds, is told 304 while nothing is new, and counts ages on.
// What the server sends is its own escaped HTML, parsed without running anything.
"use strict";

const ASK_MS = 2000;
const CUT_MS = 15000; // without an answer for so long, what is shown is said not to be live
const live = document.getElementById("live");
const cut = document.getElementById("cut");
const words = document.body.dataset;
let tag = "";
let offset = 0; // the city's clock less this device's
let heardAt = performance.now();

function read(answer) {
  const now = Number(answer.headers.get("gampong-now-ms"));
  if (now > 0) offset = now - Date.now();
  heardAt = performance.now();
}

async function ask() {
  const headers = tag ? { "If-None-Match": tag } : {};
  const answer = await fetch(words.live, {
    headers,
    cache: "no-store",
    signal: AbortSignal.timeout(10000),
  });
  if (answer.status === 304) return read(answer);
  if (answer.status !== 200) return;
  const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
  live.replaceChildren(...parsed.body.childNodes);
  tag = answer.headers.get("etag") ?? "";
  read(answer);
}

async function follow() {
  if (!document.hidden) {
    try {
      await ask();
    } catch {
      // asked again below; `tick` says so when it lasts
    }
    tick();
  }
  setTimeout(follow, ASK_MS);
}

function ageText(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return words.seconds.replace("{n}", seconds);
  if (seconds < 3600) return words.minutes.replace("{n}", Math.floor(seconds / 60));
  if (seconds < 172800) return words.hours.replace("{n}", Math.floor(seconds / 3600));
  return words.days.replace("{n}", Math.floor(seconds / 86400));
}

function tick() {
  const now = Date.now() + offset;
  for (const time of live.querySelectorAll("time[data-ms]")) {
    const text = ageText(now - Number(time.dataset.ms));
    if (time.textContent !== text) time.textContent = text;
  }
  const options = { timeZone: words.zone, timeStyle: "short", hourCycle: "h23" };
  const name = words.zone === "Asia/Jakarta" ? " WIB" : "";
  document.getElementById("clock").textContent =
    new Intl.DateTimeFormat("en-GB", options).format(now) + name;
  const isCut = performance.now() - heardAt > CUT_MS;
  cut.hidden = !isCut;
  document.body.classList.toggle("cut", isCut);
}

function dress() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = localStorage.getItem("theme") ?? (dark ? "night" : "day");
  document.documentElement.dataset.theme = theme;
  document.getElementById("night").setAttribute("aria-pressed", String(theme === "night"));
}

document.getElementById("night").addEventListener("click", () => {
  const night = document.documentElement.dataset.theme === "night";
  localStorage.setItem("theme", night ? "day" : "night");
  dress();
});
document.addEventListener("visibilitychange", () => document.hidden || ask().then(tick, () => {}));
dress();
tick();
setInterval(tick, 1000);
follow();
