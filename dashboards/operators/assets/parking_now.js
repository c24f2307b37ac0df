// Every zone's bays as they are now, from the live city; and what was paid today.
import { shape } from "gampong-live/shapes.js";
import { age, city, days, number, percent, placeName, placeOf, rupiah, t, timeOfDay, title } from "gampong-days";

const STATES = ["free", "occupied", "closed", "unknown"];
const DRAWN_MAX = 150; // bays of a zone; more are only counted

const Bays = {
  template: `
    <ul class="bays" :aria-label="t('parking.bays')">
      <li v-for="bay in bays" :key="bay.id" tabindex="0" role="img" :data-bay="bay.name" :data-state="bay.state"
        :aria-label="bay.label + ': ' + t('state.' + bay.state)" v-html="shape('parking_spot', bay.state)"
        @mouseenter="$emit('look', bay.id)" @focus="$emit('look', bay.id)"
        @mouseleave="$emit('look', '')" @blur="$emit('look', '')"></li>
    </ul>`,
  props: { bays: Array },
  emits: ["look"],
  setup: () => ({ shape, t }),
};

export default {
  components: { Bays },
  template: `
    <section class="days parking-now">
      <div class="tiles">
        <article v-for="state in STATES" :key="state" class="tile" :data-count="state">
          <h2><i class="dot" :data-state="state"></i>{{ t("state." + state) }}</h2>
          <p class="figure"><b>{{ all.count ? number(all.states[state]) : "–" }}</b>
            <span>{{ t("tile.of", number(all.count)) }}</span></p>
          <p class="age">{{ heard(all) }}</p>
        </article>
        <article class="tile" data-count="payments">
          <h2>{{ t("parking.paid_today") }}</h2>
          <p class="figure"><b class="sum">{{ paid ? rupiah(paid.sum_idr) : "–" }}</b></p>
          <p class="age">{{ paidBeside }}</p>
        </article>
      </div>
      <div class="panel">
        <h2>{{ t("parking.zones") }} <small>{{ t("parking.live") }}</small></h2>
        <p v-if="!zones.length" class="empty">{{ t("page.no_data") }}</p>
        <article v-for="zone in zones" :key="zone.place" class="zone" :data-zone="zone.place">
          <div class="words">
            <h3>{{ title(zone.zone) }} <small>{{ title(zone.site) }}</small></h3>
            <span class="share"><b>{{ percent(zone.share) }}</b> {{ t("parking.taken_of_known") }}</span>
          </div>
          <div class="bar" aria-hidden="true"><i v-for="state in STATES" :key="state" :data-state="state"
            :style="{ flexGrow: zone.states[state] }" v-show="zone.states[state]"></i></div>
          <p class="parts">
            <span v-for="state in STATES" :key="state" :data-part="state"><i class="dot" :data-state="state"></i>
              {{ number(zone.states[state]) }} {{ t("state." + state) }}</span>
            <span class="age">{{ heard(zone) }}</span>
          </p>
          <Bays v-if="zone.bays.length <= DRAWN_MAX" :bays="zone.bays" @look="looked = $event"></Bays>
          <p class="looked" v-if="look && placeOf(look) === zone.place">{{ look.label }} · {{ t("state." + look.state) }} ·
            {{ look.time_ms ? age(look.time_ms) : t("tile.never") }}</p>
        </article>
      </div>
    </section>`,
  setup: () => ({ STATES, DRAWN_MAX, age, city, number, percent, placeOf, rupiah, t, title }),
  data: () => ({ looked: "" }),
  computed: {
    zones() {
      const zones = new Map();
      for (const mark of Object.values(city.devices)) {
        if (mark.kind !== "parking_spot") continue;
        const place = placeOf(mark);
        if (!zones.has(place)) zones.set(place, { place, site: mark.site, zone: mark.zone, bays: [] });
        zones.get(place).bays.push(mark);
      }
      for (const zone of zones.values()) Object.assign(zone, count(zone.bays));
      return [...zones.values()].sort((a, b) => a.place.localeCompare(b.place));
    },
    all() {
      return count(this.zones.flatMap((zone) => zone.bays));
    },
    look() {
      return this.looked ? city.devices[this.looked] : null;
    },
    paid() {
      return days.payments;
    },
    paidBeside() {
      if (!this.paid) return t("days.reckoning");
      const newest = this.paid.newest[0];
      if (!newest) return t("parking.nobody_paid");
      const count = t("parking.payments", number(this.paid.count));
      return `${count} · ${t("tile.newest", age(newest.time_ms))}`;
    },
  },
  methods: {
    heard: ({ newest }) => (newest ? t("tile.newest", age(newest)) : t("tile.never")),
    placeName,
    timeOfDay,
  },
};

function count(bays) {
  const states = Object.fromEntries(STATES.map((state) => [state, 0]));
  let newest = 0;
  for (const bay of bays) {
    states[bay.state] += 1;
    newest = Math.max(newest, bay.time_ms);
  }
  const known = states.free + states.occupied;
  bays.sort((a, b) => a.name.localeCompare(b.name));
  return { count: bays.length, states, newest, share: known ? states.occupied / known : null };
}
