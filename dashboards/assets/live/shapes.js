// Markers as SVG text: an outline for each kind, a glyph for each state. Made of constants and
// numbers only, so that no text of a device ever becomes markup.
import { city } from "gampong-live";

const OUTLINES = {
  parking_spot: '<rect class="body" x="2.5" y="2.5" width="19" height="19" rx="4"/>',
  waste_container:
    '<path class="body" d="M4.5 8h15l-1.4 12.2a1.6 1.6 0 0 1-1.6 1.3H7.5a1.6 1.6 0 0 1-1.6-1.3z"/>' +
    '<path class="lid" d="M3.5 4.7h17v2.3h-17zM9.5 2.5h5v2.2h-5z"/>',
  wifi_access_point: '<circle class="body" cx="12" cy="12" r="10"/>',
  gateway: '<path class="body" d="M12 1.5 21.3 6.8v10.4L12 22.5 2.7 17.2V6.8z"/>',
  other: '<path class="body" d="M12 2 22 12 12 22 2 12z"/>',
};

const GLYPHS = {
  ring: '<circle class="line" cx="12" cy="12" r="4.6"/>',
  car:
    '<path class="solid" d="M5.6 15.8v-3.4l1.8-4.6h9.2l1.8 4.6v3.4zM7 16.4h2.4v1.6H7zM14.6 16.4H17' +
    'v1.6h-2.4z"/><path class="cut" d="M7.9 12l1.2-3h5.8l1.2 3z"/>',
  level: "",
  half: '<path class="line" d="M8.6 12.6h6.8"/>',
  bang: '<path class="solid" d="M10.8 9h2.4l-.4 6.2h-1.6zM10.9 16.6h2.2v2.2h-2.2z"/>',
  lid: '<path class="line" d="M8.5 16 15.5 11"/>',
  arrow: '<path class="line" d="M8.4 14.8h7M12.6 11.8l3 3-3 3"/>',
  flame:
    '<path class="solid" d="M12 8.6c3 2.4 4.2 4.4 4.2 6.7a4.2 4.2 0 0 1-8.4 0c0-1.5.7-2.7 1.7-3.6.1 ' +
    '1 .6 1.7 1.3 2 .1-1.9.3-3.6 1.2-5.1z"/>',
  waves:
    '<path class="line" d="M6.4 10.6a8 8 0 0 1 11.2 0M8.7 13.3a4.7 4.7 0 0 1 6.6 0"/>' +
    '<circle class="solid" cx="12" cy="16.3" r="1.6"/>',
  cross: '<path class="line" d="M8.4 9.4l7.2 7.2M15.6 9.4l-7.2 7.2"/>',
  mast:
    '<path class="line" d="M12 11v6.5M8.2 7.2a5.4 5.4 0 0 0 0 6.6M15.8 7.2a5.4 5.4 0 0 1 0 6.6"/>' +
    '<circle class="solid" cx="12" cy="10.5" r="1.5"/>',
  bar: '<path class="line" d="M7.5 13.5h9"/>',
  question:
    '<path class="line" d="M9.6 10.4a2.5 2.5 0 1 1 3.7 2.2c-.9.5-1.3 1-1.3 1.9"/>' +
    '<circle class="solid" cx="12" cy="17.3" r="1.15"/>',
};

const LEVELLED = new Set(["ok", "filling", "full"]);

export function shape(kind, state, level) {
  const levelled = kind === "waste_container" && LEVELLED.has(state) && Number.isFinite(level);
  const outline = OUTLINES[kind] ?? OUTLINES.other;
  const glyph = GLYPHS[city.setting.glyphs[state]] ?? "";
  return (
    `<svg viewBox="0 0 24 24" class="shape${levelled ? " levelled" : ""}" aria-hidden="true">` +
    `${outline}${levelled ? filling(level) : ""}${glyph}</svg>`
  );
}

// The waste in the bin's body, which is 15 wide at its rim (y 8) and 12.2 at its floor (y 20.2).
function filling(level) {
  const y = 20.2 - 12.2 * Math.min(1, Math.max(0, level));
  const x = 4.5 + ((y - 8) / 12.2) * 1.4;
  return (
    `<path class="waste" d="M${x.toFixed(2)} ${y.toFixed(2)}H${(24 - x).toFixed(2)}L18.1 20.2a1.6 ` +
    `1.6 0 0 1-1.6 1.3H7.5a1.6 1.6 0 0 1-1.6-1.3z"/>`
  );
}
