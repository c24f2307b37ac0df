// How bays were used by hour and weekday; here zone and period are chosen for the whole page.
import { chosen, days, percent, placeName, placeOf, reckoned, t, weekday } from "gampong-days";

export default {
  template: `
    <section class="days parking-hours panel">
      <h2>{{ t("parking.by_hour") }} <small>{{ reckoned("parking") }}</small></h2>
      <div class="choose">
        <select v-model="chosen.place" :aria-label="t('parking.zones')">
          <option v-for="zone in zones" :key="placeOf(zone)" :value="placeOf(zone)">{{ placeName(placeOf(zone)) }}</option>
        </select>
        <span role="group" :aria-label="t('days.period')">
          <button v-for="period in ['week', 'month']" :key="period" type="button" :data-period="period"
            :aria-pressed="chosen.period === period" @click="chosen.period = period">{{ t("days." + period) }}</button>
        </span>
      </div>
      <p v-if="!zone" class="empty">{{ found ? t("page.no_data") : reckoned("parking") }}</p>
      <template v-else>
        <div class="scroll" tabindex="0" :aria-label="t('parking.by_hour')">
          <table class="week">
            <thead><tr><th></th><th v-for="hour in 24" :key="hour" scope="col">{{ hour - 1 }}</th></tr></thead>
            <tbody><tr v-for="(row, nth) in week" :key="nth"><th scope="row">{{ weekday(nth) }}</th>
              <td v-for="(share, hour) in row" :key="hour" :class="look(share)" :data-cell="nth + '-' + hour"
                :style="share === null ? {} : { '--share': Math.round(100 * share) + '%' }"
                :title="weekday(nth) + ' ' + hour + ':00 · ' + (share === null ? t('state.unknown') : percent(share))"
                ><span>{{ share === null ? "" : Math.round(100 * share) }}</span></td></tr></tbody>
          </table>
        </div>
        <p class="note"><i class="sample"></i> {{ t("parking.scale") }} <i class="sample none"></i> {{ t("days.no_data") }}</p>
      </template>
    </section>`,
  setup: () => ({ chosen, percent, placeName, placeOf, reckoned, t, weekday }),
  computed: {
    found: () => days.parking,
    zones: () => days.parking?.zones ?? [],
    zone() {
      return this.zones.find((zone) => placeOf(zone) === chosen.place) ?? this.zones[0];
    },
    week() {
      const rows = Array.from({ length: 7 }, () => Array(24).fill(null));
      for (const [weekdayNth, hour, share] of this.zone[chosen.period].cells) rows[weekdayNth][hour] = share;
      return rows;
    },
  },
  methods: {
    look: (share) => (share === null ? "none" : share > 0.55 ? "dark" : ""),
  },
};
