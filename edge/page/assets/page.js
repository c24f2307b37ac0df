// The page without it works; with it the readings come by themselves. No library, nothing inline.
"use strict";

const EVERY_MS = 2000;
const STEPS = [[60, 1], [3600, 60], [86400, 3600], [Infinity, 86400]];
const body = document.body;
const units = (body.dataset.units || "s,min,h,d").split(",");
let ahead = Date.now() - Number(body.dataset.now); // this phone's clock before the gateway's

function ages() {
  const now = Date.now() - ahead;
  for (const time of document.querySelectorAll("time[data-ms]")) {
    const seconds = Math.max(0, (now - Number(time.dataset.ms)) / 1000);
    const step = STEPS.findIndex(([below]) => seconds < 2 * below);
    time.textContent = `${Math.floor(seconds / STEPS[step][1])} ${units[step]} ${body.dataset.ago}`;
  }
}

async function look(part) {
  try {
    const headers = part.tag ? { "If-None-Match": part.tag } : {};
    const answer = await fetch(part.live, { headers, cache: "no-store", redirect: "error" });
    if (answer.status === 401) {
      location.assign("/");
      return;
    }
    if (answer.status !== 304 && !answer.ok) throw new Error(String(answer.status));
    const now = Number(answer.headers.get("X-Gateway-Time"));
    if (now) ahead = Date.now() - now;
    if (answer.status === 200) {
      part.element.innerHTML = await answer.text();
      part.tag = answer.headers.get("ETag");
    }
    part.lost = false;
  } catch {
    part.lost = true;
  }
}

const parts = [...document.querySelectorAll("[data-live]")].map((element) => ({
  element,
  live: element.dataset.live,
  tag: "",
  lost: false,
}));

async function watch() {
  if (!document.hidden) {
    for (const part of parts) await look(part);
    body.classList.toggle("lost", parts.some((part) => part.lost));
  }
  ages();
  setTimeout(watch, EVERY_MS);
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

// A phone tells its position to pages that came over https or from itself only.
for (const button of document.querySelectorAll("[data-here]")) {
  if (!window.isSecureContext || !navigator.geolocation) continue;
  button.hidden = false;
  button.addEventListener("click", () => {
    const input = document.getElementById(button.dataset.here);
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        input.value = `${coords.latitude.toFixed(6)}, ${coords.longitude.toFixed(6)}`;
      },
      () => {
        button.textContent = button.dataset.none;
      },
      { enableHighAccuracy: true, timeout: 20000 },
    );
  });
}

ages();
if (parts.length) setTimeout(watch, EVERY_MS);
else setInterval(ages, 1000);
