// What parking should have brought and what was paid, by zone and day; and the last payments.
import { age, charted, chosen, city, day, days, difference, number, percent, placeName, placeOf, reckoned, rupiah, rupiahScale, t, timeOfDay, title } from "gampong-days";

const COLUMNS = 7;

export default {
  mixins: [charted],
  template: `
    <section class="days parking-money panel">
      <h2>{{ t("parking.money") }} <small>{{ reckoned("parking") }}</small></h2>
      <p v-if="found && !found.takings.length" class="empty">{{ t("parking.no_money") }}</p>
      <div ref="chart" class="chart" role="img" :aria-label="t('parking.money')" v-show="dates.length"></div>
      <div v-if="dates.length" class="scroll" tabindex="0" :aria-label="t('parking.difference')">
        <table class="close">
          <caption>{{ t("parking.difference") }}</caption>
          <thead><tr><th>{{ t("parking.zone") }}</th><th>{{ t("parking.expected_idr") }}</th><th>{{ t("parking.received_idr") }}</th>
            <th>{{ t("parking.share") }}</th><th v-for="date in columns" :key="date">{{ day(date, { day: "numeric", month: "short" }) }}
              <small v-if="date === today">{{ t("parking.running") }}</small></th></tr></thead>
          <tbody><tr v-for="row in rows" :key="row.place" :data-money="row.place">
            <th scope="row">{{ placeName(row.place) }}</th><td data-cell="expected">{{ number(row.expected) }}</td>
            <td data-cell="received">{{ number(row.received) }}</td>
            <td data-cell="share">{{ row.expected ? percent(row.received / row.expected) : "–" }}</td>
            <td v-for="date in columns" :key="date" :data-day="date" :class="{ less: isLess(row.days[date], date) }">
              {{ row.days[date] ? difference(row.days[date].received - row.days[date].expected) : "–" }}</td>
          </tr></tbody>
        </table>
      </div>
      <h2>{{ t("parking.last_payments") }} <small v-if="paid">{{ t("parking.payments_today", number(paid.count)) }}</small></h2>
      <p v-if="paid && !paid.newest.length" class="empty">{{ t("parking.nobody_paid") }}</p>
      <ul v-if="paid" class="payments" aria-live="polite">
        <li v-for="one in paid.newest" :key="one.device + one.time_ms" :data-payment="one.transaction">
          <time>{{ timeOfDay(one.time_ms) }}</time><b>{{ rupiah(one.amount_idr) }}</b><span>{{ title(one.zone) }}</span>
          <span>{{ method(one) }}</span><small>{{ age(one.time_ms) }}</small></li>
      </ul>
    </section>`,
  setup: () => ({ age, city, day, difference, number, percent, placeName, reckoned, rupiah, t, timeOfDay, title }),
  computed: {
    found: () => days.parking,
    paid: () => days.payments,
    takings: () => days.parking?.takings ?? [],
    dates() {
      return [...new Set(this.takings.map((one) => one.day_ms))].sort((a, b) => a - b);
    },
    // The page's own day, if the watch has begun to reckon it.
    today() {
      const last = this.dates[this.dates.length - 1];
      return this.found.now_ms - last < 86400000 ? last : 0;
    },
    columns() {
      return this.dates.slice(-COLUMNS).reverse();
    },
    since() {
      return this.found.now_ms - (chosen.period === "week" ? 7 : 28) * 86400000;
    },
    rows() {
      const rows = new Map([["", { place: "", expected: 0, received: 0, days: {} }]]);
      for (const one of this.takings) {
        const place = placeOf(one);
        if (!rows.has(place)) rows.set(place, { place, expected: 0, received: 0, days: {} });
        for (const row of [rows.get(""), rows.get(place)]) {
          const date = (row.days[one.day_ms] ??= { expected: 0, received: 0, judged: false });
          date.expected += one.expected_idr;
          date.received += one.received_idr;
          date.judged ||= one.judged;
          if (one.day_ms < this.since) continue;
          row.expected += one.expected_idr;
          row.received += one.received_idr;
        }
      }
      return [...rows.values()].sort((a, b) => a.place.localeCompare(b.place));
    },
  },
  methods: {
    // The day that runs isn't judged: who parks now hasn't paid yet.
    isLess(sums, date) {
      return date !== this.today && sums?.judged && sums.received < 0.8 * sums.expected;
    },
    method: (one) => (one.method ? t(`value.${one.method}`) : ""),
    follows() {
      return [this.found, chosen.place, chosen.period];
    },
    option(look, axis) {
      const row = this.found ? (this.rows.find(({ place }) => place === chosen.place) ?? this.rows[0]) : { days: {} };
      const dates = this.found ? this.dates.filter((date) => date >= this.since) : [];
      const of = (name) => dates.map((date) => row.days[date]?.[name] ?? null);
      const scale = rupiahScale(Math.max(0, ...of("expected"), ...of("received")));
      return {
        legend: axis.legend,
        grid: { left: 4, right: 16, top: 44, bottom: 2, containLabel: true },
        tooltip: { trigger: "axis", renderMode: "richText", valueFormatter: (value) => (value === null ? "–" : rupiah(value)) },
        xAxis: axis.category(dates.map((date) => day(date, { day: "numeric", month: "short" })), true),
        yAxis: axis.value({ min: 0, ...scale, nameTextStyle: { color: look.ink, align: "left" } }),
        series: [
          { name: t("parking.expected_idr"), type: "bar", data: of("expected"), color: look.blue },
          { name: t("parking.received_idr"), type: "bar", data: of("received"), color: look.orange,
            itemStyle: { decal: { symbol: "rect", dashArrayX: [1, 0], dashArrayY: [2, 3], rotation: 0.7, color: "rgba(255,255,255,0.45)" } } },
        ],
      };
    },
  },
};
