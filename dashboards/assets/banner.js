import { age, city, t, timeOfDay } from "gampong-live";

export default {
  template: `
    <div role="status" aria-live="polite">
      <div v-if="words" class="banner" :class="kind" :data-banner="kind">{{ words }}</div>
    </div>`,
  computed: {
    kind() {
      if (city.silent) return "page-away";
      if (city.away) return "store-away";
      if (!city.readAt) return "loading";
      return !city.setting.live || Object.keys(city.devices).length ? "" : "no-data";
    },
    words() {
      const when = city.readAt ? `${age(city.readAt)} (${timeOfDay(city.readAt)} WIB)` : "";
      switch (this.kind) {
        case "page-away":
          return t("page.page_away", when);
        case "store-away":
          return when ? t("page.store_away", when) : t("page.store_away_empty");
        case "loading":
          return t("page.loading");
        case "no-data":
          return `${t("page.no_data")}. ${t("page.no_data_long")}`;
      }
      return "";
    },
  },
};
