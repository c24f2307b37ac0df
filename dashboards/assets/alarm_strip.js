import { age, city, number, t } from "gampong-live";

export default {
  template: `
    <section class="alarm-strip" :data-worst="worst" :data-count="count" aria-live="polite">
      <p class="counts">
        <template v-if="told.away"><b class="away">{{ t("frame.alerts_away") }}</b></template>
        <template v-else>
          <b v-if="told.stale" class="away">{{ t("frame.alerts_stale") }}</b>
          <b v-for="level in levels" :key="level" :class="level">{{ t("frame.alerts_" + level, number(told[level])) }}</b>
          <span v-if="!levels.length && !told.stale" class="none">✓ {{ t("frame.alerts_none") }}</span>
          <span v-if="told.silent" class="silent">{{ t("frame.alerts_silent", number(told.silent)) }}</span>
        </template>
      </p>
      <ol v-if="!told.away && told.worst.length">
        <li v-for="line in told.worst" :key="line.title + line.device" :class="line.severity">
          <i aria-hidden="true">{{ marks[line.severity] }}</i>{{ line.title }}: <b>{{ line.device }}</b>
          <small v-if="city.now">{{ age(line.since_ms) }}</small>
        </li>
      </ol>
      <a href="/alerts">{{ t("frame.alerts_all") }}</a>
    </section>`,
  props: { alarms: String },
  setup() {
    return { age, city, number, t, marks: { critical: "‼", warning: "!", info: "·" } };
  },
  computed: {
    told() {
      return JSON.parse(this.alarms);
    },
    levels() {
      return ["critical", "warning", "info"].filter((level) => this.told[level]);
    },
    worst() {
      return this.told.away ? "away" : (this.levels[0] ?? (this.told.stale ? "away" : "none"));
    },
    count() {
      return this.told.critical + this.told.warning + this.told.info;
    },
  },
};
