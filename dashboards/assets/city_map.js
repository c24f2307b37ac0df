// A Leaflet map for each site, filled when it is first seen: of ten thousand markers few are. Markers that would lie on each other step aside to the nearest free
// place of a lattice, so that each bay can be seen and touched at any zoom.
import { leaflet as L } from "nicegui-leaflet";
import { nextTick, watch } from "vue";
import { age, city, fieldText, number, onMarks, sites, t, timeOfDay, title } from "gampong-live";
import { shape } from "gampong-live/shapes.js";

const PHONE = "(max-width: 760px)";
const TOLD = new Set(["occupied", "up", "online", "balanced", "sealed_ms"]); // by the state, or a panel
const MARK_REM = 1.55;
const SITES_AT_ONCE = 6; // more on one screen can't be read: the largest alone is shown at first
const OUTWARD = [...Array(41 * 41).keys()]
  .map((n) => [(n % 41) - 20, Math.floor(n / 41) - 20])
  .sort((a, b) => a[0] ** 2 + a[1] ** 2 - b[0] ** 2 - b[1] ** 2); // lattice cells, nearest first

class Pane {
  constructor(element, site, streets) {
    this.element = element;
    this.site = site;
    this.marks = new Map();
    this.followed = true; // until the viewer moves the map
    this.fitting = false;
    this.seen = false;
    this.map = L.map(element, { attributionControl: false, zoomSnap: 0.1, maxZoom: 21, minZoom: 5 });
    this.map.setView([5.2, 96.5], 12);
    L.control.scale({ imperial: false, position: "bottomright" }).addTo(this.map);
    this.addStreets(streets);
    this.map.on("zoomend", () => this.fitting || this.arrange());
    this.map.on("dragstart", () => (this.followed = false));
    for (const type of ["wheel", "dblclick", "keydown"])
      element.addEventListener(type, () => (this.followed = false), { passive: true });
    this.fitted = ""; // the size that it was last fitted to
    this.resizing = new ResizeObserver(() => this.extent() !== this.fitted && this.resize());
    this.resizing.observe(element);
  }

  addStreets(streets) {
    const here = (feature) => feature.properties.site === this.site;
    L.geoJSON(streets, {
      filter: here,
      interactive: false,
      style: (feature) => ({ className: `ground ${feature.properties.class}` }),
      pointToLayer: ({ properties }, place) =>
        L.marker(place, { icon: streetName(properties), interactive: false, zIndexOffset: -9000 }),
    }).addTo(this.map);
  }

  resize() {
    if (!this.element.offsetWidth) return; // hidden behind another site
    this.map.invalidateSize({ animate: false });
    this.followed ? this.fit() : this.arrange();
  }

  fit() {
    const places = [...this.marks.values()].map(({ mark }) => [mark.latitude, mark.longitude]);
    if (!places.length || !this.element.offsetWidth) return;
    const room = this.size() * 1.4;
    this.fitted = this.extent();
    this.fitting = true;
    this.map.fitBounds(places, {
      paddingTopLeft: [room, room + 22], // the site's name
      paddingBottomRight: [room, room],
      maxZoom: 19.5,
      animate: false,
    });
    this.fitting = false;
    this.arrange();
  }

  extent() {
    return `${this.element.offsetWidth} ${this.element.offsetHeight}`;
  }

  size() {
    return MARK_REM * parseFloat(getComputedStyle(document.documentElement).fontSize);
  }

  // True when the marker is new or has moved: then all are to be arranged again.
  put(mark) {
    const known = this.marks.get(mark.id);
    if (!known) {
      const place = [mark.latitude, mark.longitude];
      const icon = L.divIcon({ className: "mark", iconSize: null });
      const marker = L.marker(place, { icon, riseOnHover: true }).addTo(this.map);
      const drawn = { marker, mark, look: "" };
      const tip = { direction: "top", offset: [0, -10], className: "tip", opacity: 1 };
      marker.bindTooltip(() => tooltip(drawn.mark), tip);
      this.marks.set(mark.id, drawn);
      draw(drawn, mark);
      return true;
    }
    const moved = known.mark.latitude !== mark.latitude || known.mark.longitude !== mark.longitude;
    draw(known, mark);
    return moved;
  }

  // What is removed, at another site, or without a place now; true when it was here.
  take(id) {
    this.marks.get(id)?.marker.remove();
    return this.marks.delete(id);
  }

  arrange() {
    const pitch = this.size() * 1.08;
    const zoom = this.map.getZoom();
    const items = [...this.marks.values()].map((drawn) => ({
      drawn,
      at: this.map.project([drawn.mark.latitude, drawn.mark.longitude], zoom),
    }));
    const { alone, crowded } = sort(items, pitch);
    const lattice = new Lattice(pitch);
    for (const item of alone) lattice.block(item.at);
    for (const { drawn } of alone)
      drawn.marker.setLatLng([drawn.mark.latitude, drawn.mark.longitude]);
    for (const item of crowded) {
      const place = lattice.take(item.at);
      item.drawn.marker.setLatLng(this.map.unproject(place, zoom));
    }
  }

  close() {
    this.resizing.disconnect();
    this.map.remove();
  }
}

// Points in cells of the pitch's size, to find neighbours without asking everyone.
class Grid {
  constructor(pitch) {
    this.pitch = pitch;
    this.cells = new Map();
  }

  add(point) {
    const key = cell(Math.floor(point.x / this.pitch), Math.floor(point.y / this.pitch));
    const points = this.cells.get(key);
    points ? points.push(point) : this.cells.set(key, [point]);
  }

  hasNeighbour(point) {
    const [column, row] = [Math.floor(point.x / this.pitch), Math.floor(point.y / this.pitch)];
    const near = this.pitch - 0.01;
    for (let dx = -1; dx <= 1; dx++)
      for (let dy = -1; dy <= 1; dy++)
        for (const other of this.cells.get(cell(column + dx, row + dy)) ?? [])
          if (other !== point && Math.abs(other.x - point.x) < near && Math.abs(other.y - point.y) < near)
            return true;
    return false;
  }
}

// The places that markers may step aside to: the corners of the grid's cells.
class Lattice {
  constructor(pitch) {
    this.pitch = pitch;
    this.taken = new Set();
    this.tried = new Map(); // from where → how many of OUTWARD are known to be taken
  }

  // A marker stands here, of its own place.
  block(point) {
    const reach = 1 - 0.01 / this.pitch;
    const [x, y] = [point.x / this.pitch, point.y / this.pitch];
    for (let column = Math.ceil(x - reach); column <= x + reach; column++)
      for (let row = Math.ceil(y - reach); row <= y + reach; row++) this.taken.add(cell(column, row));
  }

  // The nearest free place, which is then taken.
  take(point) {
    const column = Math.round(point.x / this.pitch);
    const row = Math.round(point.y / this.pitch);
    const from = cell(column, row);
    for (let n = this.tried.get(from) ?? 0; n < OUTWARD.length; n++) {
      const [dx, dy] = OUTWARD[n];
      const key = cell(column + dx, row + dy);
      if (this.taken.has(key)) continue;
      this.taken.add(key);
      this.tried.set(from, n + 1);
      return L.point((column + dx) * this.pitch, (row + dy) * this.pitch);
    }
    this.tried.set(from, OUTWARD.length);
    return point;
  }
}

// One number for a cell; both are below 2 ** 24 at every zoom.
function cell(column, row) {
  return column * 2 ** 26 + row;
}

function sort(items, pitch) {
  const all = new Grid(pitch);
  for (const item of items) all.add(item.at);
  const [alone, crowded] = [[], []];
  for (const item of items) (all.hasNeighbour(item.at) ? crowded : alone).push(item);
  const key = ({ drawn }) => `${drawn.mark.kind} ${drawn.mark.id}`;
  const keys = new Map(crowded.map((item) => [item, key(item)]));
  crowded.sort((a, b) => (keys.get(a) < keys.get(b) ? -1 : 1));
  return { alone, crowded };
}

function streetName({ name, angle }) {
  const label = document.createElement("span");
  label.textContent = name;
  label.style.transform = `translate(-50%, -50%) rotate(${angle}deg)`;
  return L.divIcon({ className: "street-name", html: label, iconSize: [0, 0] });
}

function draw(drawn, mark) {
  const people = mark.kind === "wifi_access_point" && mark.state === "up" ? (mark.fields.clients ?? "") : "";
  const look = `${mark.kind} ${mark.state} ${mark.fields.filling_level ?? ""} ${people}`;
  const element = drawn.marker.getElement();
  const changed = drawn.look && drawn.mark.state !== mark.state;
  if (look !== drawn.look) {
    element.innerHTML = shape(mark.kind, mark.state, mark.fields.filling_level);
    if (people !== "") element.append(badge(people));
  }
  Object.assign(drawn, { look, mark });
  Object.assign(element.dataset, { device: mark.name, kind: mark.kind, state: mark.state });
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", `${t(`kind.${mark.kind}`)} ${mark.label}: ${t(`state.${mark.state}`)}`);
  if (changed) {
    element.classList.remove("changed");
    void element.offsetWidth; // begin the animation again
    element.classList.add("changed");
  }
  if (drawn.marker.isTooltipOpen()) drawn.marker.getTooltip().update();
}

function badge(people) {
  const element = document.createElement("b");
  element.textContent = number(people);
  return element;
}

// Built of text nodes: no text of a device is ever markup.
function tooltip(mark) {
  const box = document.createElement("div");
  line(box, "b", mark.label);
  line(box, "small", `${mark.name} · ${t(`kind.${mark.kind}`)} · ${title(mark.zone)}`);
  const state = line(box, "p", t(`state.${mark.state}`));
  state.dataset.state = mark.state;
  const heard = mark.time_ms ? `${age(mark.time_ms)} (${timeOfDay(mark.time_ms)})` : t("tile.never");
  line(box, "p", heard);
  const list = line(box, "dl", "");
  for (const [name, value] of Object.entries(mark.fields)) {
    if (TOLD.has(name)) continue;
    line(list, "dt", t(`field.${name}`));
    line(list, "dd", fieldText(name, value));
  }
  return box;
}

function line(parent, tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return parent.appendChild(element);
}

function loadStyle(url) {
  const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: url });
  const loaded = new Promise((resolve) => (link.onload = link.onerror = resolve));
  document.head.prepend(link);
  return loaded;
}

export default {
  template: `
    <section class="map" :aria-label="t('page.map')">
      <nav :aria-label="t('page.sites')">
        <button type="button" :aria-pressed="city.site === ''" @click="show('')">{{ t("page.all_sites") }}</button>
        <button v-for="site in sites" :key="site" type="button" :data-site="site"
          :aria-pressed="city.site === site" @click="show(site)">{{ title(site) }}</button>
      </nav>
      <div class="panes">
        <div v-for="site in sites" :key="site" class="pane" v-show="!city.site || city.site === site">
          <h3>{{ title(site) }}</h3>
          <div class="leaf" :data-pane="site"></div>
        </div>
        <p v-if="!sites.length" class="empty">{{ t("page.no_data") }}</p>
      </div>
      <details class="legend" :open="!phone"><summary>{{ t("page.legend") }}</summary><div>
        <dl v-for="(states, kind) in legend" :key="kind">
          <dt>{{ t("kind." + kind) }}</dt>
          <dd v-for="state in states" :key="state" :data-state="state">
            <span v-html="shape(kind, state, LEVELS[state])"></span>{{ t("state." + state) }}</dd>
        </dl>
      </div></details>
    </section>`,
  props: { streets: String, resourcePath: String },
  setup() {
    const LEVELS = { ok: 0.35, filling: 0.78, full: 0.95, burning: 0.6, lid_open: 0.4, moved: 0.4 };
    return { city, LEVELS, phone: matchMedia(PHONE).matches, shape, t, title };
  },
  computed: {
    sites,
    legend() {
      const { other, ...known } = city.setting.states;
      return city.tiles.some((tile) => tile.kind === "other") ? { ...known, other } : known;
    },
  },
  async mounted() {
    this.panes = new Map();
    await loadStyle(`${window.path_prefix ?? ""}${this.resourcePath}/leaflet/leaflet.css`);
    this.chosen = false;
    this.seeing = new IntersectionObserver((entries) => this.see(entries), { rootMargin: "2000px" });
    this.stops = [
      onMarks((marks, removed) => this.put(marks, removed)),
      watch(() => this.sites.join(" "), () => this.open(), { flush: "post" }),
    ];
    await this.open();
    this.ticking = setInterval(() => this.eachOpenTip((tip) => tip.update()), 1000);
  },
  unmounted() {
    clearInterval(this.ticking);
    this.seeing?.disconnect();
    for (const stop of this.stops ?? []) stop();
    for (const pane of this.panes.values()) pane.close();
  },
  methods: {
    async open() {
      if (!this.chosen && (this.phone || this.sites.length > SITES_AT_ONCE)) city.site = this.sites[0] ?? "";
      if (city.site && !this.sites.includes(city.site)) city.site = ""; // its last device is gone
      await nextTick();
      for (const [site, pane] of this.panes)
        if (!pane.element.isConnected) {
          this.panes.delete(site);
          pane.close();
        }
      const streets = JSON.parse(this.streets);
      for (const element of this.$el.querySelectorAll("[data-pane]")) {
        const site = element.dataset.pane;
        if (this.panes.has(site)) continue;
        this.panes.set(site, new Pane(element, site, streets));
        this.seeing.observe(element);
      }
    },
    see(entries) {
      for (const { isIntersecting, target } of entries) {
        const pane = this.panes.get(target.dataset.pane);
        if (!isIntersecting || !pane || pane.seen) continue;
        pane.seen = true;
        this.seeing.unobserve(target);
        this.put(Object.values(city.devices).filter((mark) => mark.site === pane.site));
      }
    },
    put(marks, removed = []) {
      const disturbed = new Set();
      const take = (pane, id) => pane.take(id) && disturbed.add(pane);
      for (const id of removed) for (const pane of this.panes.values()) take(pane, id);
      for (const mark of marks) {
        const pane = mark.latitude === null ? undefined : this.panes.get(mark.site);
        for (const other of this.panes.values()) if (other !== pane) take(other, mark.id);
        if (pane?.seen && pane.put(mark)) disturbed.add(pane);
      }
      for (const pane of disturbed) pane.followed ? pane.fit() : pane.arrange();
    },
    async show(site) {
      this.chosen = true;
      city.site = site;
      await nextTick();
      for (const pane of this.panes.values()) {
        pane.followed = true;
        pane.resize();
      }
    },
    eachOpenTip(act) {
      for (const pane of this.panes.values())
        for (const { marker } of pane.marks.values())
          if (marker.isTooltipOpen()) act(marker.getTooltip());
    },
  },
};
