// The last day and a half, and the next hours with their bounds.
import { charted, chosen, days, hourOf, percent, placeName, placeOf, reckoned, t } from "gampong-days";

export default {
  mixins: [charted],
  template: `
    <section class="days parking-ahead panel">
      <h2>{{ t("parking.ahead") }} <small>{{ name }} · {{ reckoned("parking") }}</small></h2>
      <div ref="chart" class="chart" role="img" :aria-label="t('parking.ahead')"></div>
      <p v-if="!ahead.length" class="empty">{{ zone ? t("parking.no_ahead") : reckoned("parking") }}</p>
      <ol class="ahead">
        <li v-for="hour in ahead" :key="hour.time_ms" :data-ahead="hour.time_ms"><small>{{ hourOf(hour.time_ms) }}</small>
          <b>{{ percent(hour.share) }}</b>
          <small>{{ hour.low === null ? t("parking.unsure") : percent(hour.low) + " – " + percent(hour.high) }}</small></li>
      </ol>
      <p class="note">{{ wrong }}</p>
    </section>`,
  setup: () => ({ hourOf, percent, reckoned, t }),
  computed: {
    zone() {
      const zones = days.parking?.zones ?? [];
      return zones.find((zone) => placeOf(zone) === chosen.place) ?? zones[0];
    },
    name() {
      return this.zone ? placeName(placeOf(this.zone)) : "";
    },
    ahead() {
      return this.zone?.ahead ?? [];
    },
    wrong() {
      const off = this.zone?.wrong;
      return off ? `${t("parking.wrong", percent(off.ours, 1))} ${t("parking.as_now", percent(off.as_now, 1))}` : "";
    },
  },
  methods: {
    follows() {
      return [this.zone];
    },
    option(look, axis) {
      const past = this.zone?.hours ?? [];
      const blank = past.slice(1).map(() => null);
      const last = past.length ? past[past.length - 1][1] : null;
      const shown = (share) => (share === null ? null : Math.round(1000 * share) / 10);
      const rest = this.ahead.map(() => null);
      const low = this.ahead.map((hour) => shown(hour.low));
      const room = this.ahead.map((hour) => (hour.low === null ? null : shown(hour.high - hour.low)));
      const band = { type: "line", stack: "bounds", symbol: "none", lineStyle: { opacity: 0 }, silent: true };
      return {
        legend: { ...axis.legend, data: [t("parking.was"), t("parking.expected"), t("parking.bounds")] },
        tooltip: { trigger: "axis", renderMode: "richText", valueFormatter: (value) => (value === null ? "–" : `${value} %`) },
        xAxis: axis.category([...past.map(([time]) => hourOf(time)), ...this.ahead.map((hour) => hourOf(hour.time_ms))], false),
        yAxis: axis.value({ min: 0, max: 100, interval: 25, axisLabel: { formatter: "{value} %" } }),
        series: [
          { name: "low", ...band, data: [...blank, shown(last), ...low], tooltip: { show: false } },
          { name: t("parking.bounds"), ...band, data: [...blank, 0, ...room], color: look.orange, areaStyle: { opacity: 0.22 } },
          { name: t("parking.was"), type: "line", symbol: "none", data: [...past.map(([, share]) => shown(share)), ...rest],
            color: look.blue, lineStyle: { width: 2 }, areaStyle: { opacity: 0.08 } },
          { name: t("parking.expected"), type: "line", symbol: "circle", symbolSize: 6,
            data: [...blank, shown(last), ...this.ahead.map((hour) => shown(hour.share))],
            color: look.orange, lineStyle: { width: 2, type: "dashed" } },
        ],
      };
    },
  },
};
