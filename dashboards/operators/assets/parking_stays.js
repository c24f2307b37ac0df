// How bays were used by zone, and who stands there too long now.
import { chosen, city, days, number, percent, placeName, placeOf, reckoned, span, t, title } from "gampong-days";

export default {
  template: `
    <section class="days parking-stays panel">
      <h2>{{ t("parking.stays") }} <small>{{ t("days." + chosen.period + "_long") }} · {{ reckoned("parking") }}</small></h2>
      <p v-if="!zones.length" class="empty">{{ found ? t("page.no_data") : reckoned("parking") }}</p>
      <template v-else>
      <div class="scroll" tabindex="0" :aria-label="t('parking.stays')">
        <table>
          <thead><tr><th>{{ t("parking.zone") }}</th><th>{{ t("parking.bay_count") }}</th><th>{{ t("parking.taken") }}</th>
            <th>{{ t("parking.vehicles") }}</th><th>{{ t("parking.turnover") }}</th><th>{{ t("parking.dwell_median") }}</th>
            <th>{{ t("parking.dwell_mean") }}</th><th>{{ over }}</th><th>{{ t("parking.unknown_share") }}</th></tr></thead>
          <tbody><tr v-for="each in zones" :key="placeOf(each)" :data-usage="placeOf(each)">
            <th scope="row">{{ placeName(placeOf(each)) }}</th><td>{{ number(each.bays) }}</td>
            <td data-cell="occupancy">{{ percent(each[chosen.period].occupancy, 1) }}</td>
            <td data-cell="vehicles">{{ number(each[chosen.period].vehicles) }}</td>
            <td data-cell="turnover">{{ each[chosen.period].turnover === null ? "–" : number(each[chosen.period].turnover, 1) }}</td>
            <td data-cell="dwell">{{ minutes(each[chosen.period].dwell_median_min) }}</td>
            <td>{{ minutes(each[chosen.period].dwell_mean_min) }}</td>
            <td data-cell="overstays">{{ number(each[chosen.period].overstays) }}</td>
            <td :class="{ unknown: each[chosen.period].unknown_share > 0.005 }">{{ percent(each[chosen.period].unknown_share, 1) }}</td>
          </tr></tbody>
        </table>
      </div>
      <h2>{{ t("parking.standing") }} <small>{{ number(found.standing_count) }}</small></h2>
      <p v-if="!found.standing.length" class="empty">{{ t("parking.nobody_stands") }}</p>
      <ul v-else class="standing">
        <li v-for="one in found.standing" :key="one.device" :data-standing="one.device"><b>{{ label(one.device) }}</b>
          <span>{{ title(one.zone) }}</span>
          <span>{{ one.seen ? "" : "≥ " }}{{ span(city.now - one.since_ms) }}</span></li>
      </ul>
      </template>
    </section>`,
  setup: () => ({ chosen, city, number, percent, placeName, placeOf, reckoned, span, t, title }),
  computed: {
    found: () => days.parking,
    zones: () => days.parking?.zones ?? [],
    over() {
      return t("parking.overstays", span(this.found.overstay_min * 60000));
    },
  },
  methods: {
    minutes: (value) => (value === null ? "–" : `${number(value)} ${t("unit.min")}`),
    label: (device) => city.devices[device]?.label ?? device,
  },
};
