// What waste banks were brought, by bank and kind; nothing where the city has none.
import { age, city, days, number, reckoned, t, title } from "gampong-days";

export default {
  template: `
    <section v-if="there" class="days waste-bank panel">
      <h2>{{ t("waste.bank") }} <small>{{ t("days.month_long") }} · {{ reckoned("waste") }}</small></h2>
      <p v-if="!brought.length" class="empty">{{ t("waste.no_deposits") }}</p>
      <div v-else class="scroll tall" tabindex="0" :aria-label="t('waste.bank')">
        <table><thead><tr><th>{{ t("waste.bank_name") }}</th><th>{{ t("waste.sort") }}</th><th>{{ t("waste.deposits") }}</th>
            <th>kg</th><th>{{ t("waste.points") }}</th><th>{{ t("waste.last") }}</th></tr></thead>
          <tbody><tr v-for="one in brought" :key="one.bank + one.waste_kind" :data-bank="one.bank">
            <th scope="row">{{ label(one.bank) }} <small>{{ title(one.zone) }}</small></th><td>{{ t("value." + one.waste_kind) }}</td>
            <td>{{ number(one.sum.deposits) }}</td><td>{{ number(one.sum.weight_kg, 1) }}</td><td>{{ number(one.sum.points) }}</td>
            <td>{{ age(one.newest_ms) }}</td></tr>
            <tr class="total"><th scope="row">{{ t("waste.total") }}</th><td></td><td>{{ number(total.deposits) }}</td>
              <td>{{ number(total.weight_kg, 1) }}</td><td>{{ number(total.points) }}</td><td></td></tr></tbody></table>
      </div>
    </section>`,
  setup: () => ({ age, number, reckoned, t, title }),
  computed: {
    brought: () => days.waste?.bank?.brought ?? [],
    total: () => days.waste.bank.total,
    there() {
      return this.brought.length || Object.values(city.devices).some((mark) => mark.kind === "waste_deposit");
    },
  },
  methods: { label: (device) => city.devices[device]?.label ?? device },
};
