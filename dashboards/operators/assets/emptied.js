// Emptyings, recognised by themselves; the newest first.
import { city, day, days, hourOf, number, percent, reckoned, t } from "gampong-days";

export default {
  template: `
    <section class="days emptied panel">
      <h2>{{ t("waste.emptied") }} <small>{{ reckoned("waste") }}</small></h2>
      <p v-if="!found || !found.emptied.length" class="empty">{{ found ? t("waste.none_emptied") : reckoned("waste") }}</p>
      <div v-else class="scroll tall" tabindex="0" :aria-label="t('waste.emptied')">
        <table><thead><tr><th>{{ t("waste.when") }}</th><th>{{ t("waste.bin") }}</th><th>{{ t("waste.from_to") }}</th></tr></thead>
          <tbody><tr v-for="one in found.emptied" :key="one.device + one.until_ms" :data-emptied="one.device">
            <td>{{ day(one.until_ms) }}, {{ hourOf(one.after_ms) }} – {{ hourOf(one.until_ms) }}</td><td><b>{{ label(one.device) }}</b></td>
            <td>{{ percent(one.before) }} → {{ percent(one.after) }} <b v-if="one.wasted" class="wasted">{{ t("waste.wasted") }}</b></td>
          </tr></tbody></table>
      </div>
      <p v-if="found" class="note">{{ t("waste.counted", number(found.month.visits)) }}</p>
    </section>`,
  setup: () => ({ day, hourOf, number, percent, reckoned, t }),
  computed: { found: () => days.waste },
  methods: { label: (device) => city.devices[device]?.label ?? device },
};
