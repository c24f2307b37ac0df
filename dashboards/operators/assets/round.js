// The round: trucks at hand, their ways on the map, the list to take along.
import { leaflet as L } from "nicegui-leaflet";
import { age, city, days, number, percent, t, title, why } from "gampong-days";
import { markRaw, watch } from "vue";

// Told apart by colour, by dashes and by a letter.
const LINES = [
  { color: "#0072b2", night: "#56b4e9", dash: "" },
  { color: "#d55e00", night: "#e69f00", dash: "12 6" },
  { color: "#009e73", night: "#2fd3a0", dash: "2 7" },
  { color: "#cc79a7", night: "#cc79a7", dash: "14 5 2 5" },
];

export default {
  template: `
    <section class="days round panel">
      <h2>{{ t("waste.round") }} <small v-if="sheet">{{ t("waste.planned", age(found.now_ms)) }} · {{ sheet.when }}</small></h2>
      <p v-if="!trucks.length" class="empty">{{ t("waste.no_trucks") }}</p>
      <div v-else class="choose no-print">
        <fieldset><legend>{{ t("waste.trucks") }}</legend><label v-for="truck in trucks" :key="truck.name">
          <input type="checkbox" :value="truck.name" v-model="taken" :disabled="!may || busy"> {{ truck.name }}
          <small>{{ number(truck.capacity_litres) }} l × {{ truck.trips }}</small></label></fieldset>
        <button type="button" class="plan" :disabled="!may || busy || !taken.length" @click="$emit('plan', taken)">
          {{ busy ? t("waste.planning") : t("waste.plan") }}</button>
        <button type="button" class="print" :disabled="!sheet" @click="print">{{ t("waste.print") }}</button>
        <button type="button" class="gpx" :disabled="!sheet" @click="$emit('gpx')">GPX</button>
        <small v-if="!may">{{ t("waste.may_not") }}</small>
      </div>
      <p v-if="broken" class="broken" role="status">{{ broken }}</p>
      <div class="way">
        <div class="leaf no-print" role="region" :aria-label="t('waste.round')" ref="map"></div>
        <div class="sheet" v-if="sheet">
          <p class="only-print">{{ t("waste.round") }}, {{ sheet.when }} · {{ sheet.depot.label }}</p>
          <p v-if="!sheet.routes.length" class="empty">{{ t("waste.nothing") }}</p>
          <article v-for="(route, nth) in sheet.routes" :key="nth" :data-route="nth">
            <h3><svg class="key" viewBox="0 0 40 8" aria-hidden="true"><path d="M0 4H40" :stroke="line(nth).color"
              :stroke-dasharray="line(nth).dash" stroke-width="5" fill="none"/></svg> {{ letter(nth) }} · {{ route.truck }},
              {{ t("waste.trip", route.trip) }}</h3>
            <p class="note">{{ t("waste.bin_count", number(route.stops.length)) }} · {{ number(route.metres / 1000, 1) }} km ·
              {{ number(route.litres) }} l · {{ t("waste.about", number(route.minutes)) }}</p>
            <ol><li v-for="stop in route.stops" :key="stop.device" :data-stop="stop.device"><i class="tick" aria-hidden="true"></i>
              <b>{{ stop.label || stop.device }}</b> <span>{{ stop.level === null ? t("state.unknown") : percent(stop.level) }}</span></li></ol>
          </article>
          <template v-if="sheet.left.length || Object.keys(sheet.skipped).length">
            <h3>{{ t("waste.not_visited") }}</h3>
            <ul><li v-for="stop in sheet.left" :key="stop.device" :data-left="stop.device">{{ stop.label || stop.device }}:
                {{ t("waste.no_room") }}</li>
              <li v-for="(text, device) in sheet.skipped" :key="device" :data-left="device">{{ label(device) }}: {{ whyNot(text) }}</li></ul>
          </template>
        </div>
      </div>
    </section>`,
  props: { trucks: Array, may: Boolean, busy: Boolean, streets: String, resourcePath: String },
  emits: ["plan", "gpx"],
  setup: () => ({ age, number, percent, t }),
  data() {
    return { taken: this.trucks.map((truck) => truck.name) };
  },
  computed: {
    found: () => days.round,
    sheet: () => days.round?.sheet,
    broken() {
      const said = why.round;
      return said ? (said.away ? t("days.store_away") : t("days.failed", said.text)) : "";
    },
  },
  async mounted() {
    await loadStyle(`${window.path_prefix ?? ""}${this.resourcePath}/leaflet/leaflet.css`);
    if (!this.$refs.map) return;
    this.map = markRaw(L.map(this.$refs.map, { attributionControl: false, zoomSnap: 0.25, maxZoom: 20, minZoom: 5 }));
    this.map.setView([5.2, 96.5], 12);
    L.control.scale({ imperial: false, position: "bottomright" }).addTo(this.map);
    L.geoJSON(JSON.parse(this.streets), {
      interactive: false,
      filter: (feature) => feature.geometry.type !== "Point",
      style: (feature) => ({ className: `ground ${feature.properties.class}` }),
    }).addTo(this.map);
    this.drawn = markRaw(L.layerGroup().addTo(this.map));
    this.resizing = new ResizeObserver(() => this.map.invalidateSize({ animate: false }) && this.fit());
    this.resizing.observe(this.$refs.map);
    this.stop = watch(() => [days.round, city.night], () => this.draw(), { immediate: true });
  },
  unmounted() {
    this.stop?.();
    this.resizing?.disconnect();
    this.map?.remove();
  },
  methods: {
    line: (nth) => {
      const { color, night, dash } = LINES[nth % LINES.length];
      return { color: city.night ? night : color, dash };
    },
    letter: (nth) => String.fromCharCode(65 + (nth % 26)),
    label: (device) => city.devices[device]?.label ?? device,
    whyNot: (text) => t(`waste.not_${text.split(":")[0].replaceAll(" ", "_")}`),
    print: () => window.print(),
    draw() {
      this.drawn.clearLayers();
      this.bounds = null;
      if (!this.sheet) return;
      const depot = [this.sheet.depot.latitude, this.sheet.depot.longitude];
      const bounds = L.latLngBounds([depot]);
      this.sheet.routes.forEach((route, nth) => {
        const places = [depot, ...route.stops.map((stop) => [stop.latitude, stop.longitude]), depot];
        const { color, dash } = this.line(nth);
        L.polyline(places, { color, weight: 4, dashArray: dash, className: "route", interactive: false }).addTo(this.drawn);
        route.stops.forEach((stop, at) => {
          bounds.extend([stop.latitude, stop.longitude]);
          const element = document.createElement("b");
          element.textContent = `${this.letter(nth)}${at + 1}`;
          element.style.setProperty("--line", color);
          element.dataset.mapStop = stop.device;
          const icon = L.divIcon({ className: "stop", html: element, iconSize: null });
          const marker = L.marker([stop.latitude, stop.longitude], { icon, keyboard: false }).addTo(this.drawn);
          marker.bindTooltip(() => words(`${stop.label || stop.device} · ${percent(stop.level)}`), { className: "tip", direction: "top" });
        });
      });
      const yard = document.createElement("b");
      yard.textContent = "⌂";
      const icon = L.divIcon({ className: "stop depot", html: yard, iconSize: null });
      L.marker(depot, { icon, keyboard: false, zIndexOffset: 500 }).addTo(this.drawn)
        .bindTooltip(() => words(this.sheet.depot.label), { className: "tip", direction: "top" });
      this.bounds = markRaw(bounds);
      this.fit();
    },
    fit() {
      if (this.bounds && this.$refs.map.offsetWidth) this.map.fitBounds(this.bounds, { padding: [28, 28], maxZoom: 18, animate: false });
    },
  },
};

// A text node: no label of a device is ever markup.
function words(text) {
  const element = document.createElement("span");
  element.textContent = text;
  return element;
}

function loadStyle(url) {
  const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: url });
  const loaded = new Promise((resolve) => (link.onload = link.onerror = resolve));
  document.head.prepend(link);
  return loaded;
}
