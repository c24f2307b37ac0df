import { city, number, t } from "gampong-live";

export default {
  template: `
    <footer>
      <span v-for="note in city.setting.notes" :key="note">{{ note }}</span>
      <span>{{ t("page.speed") }} {{ city.setting.rate }} ×</span>
      <span v-if="city.setting.live">{{ t("page.devices", devices) }}</span>
      <span v-if="unplaced">{{ t("page.unplaced", unplaced) }}</span>
    </footer>`,
  setup() {
    return { city, t };
  },
  computed: {
    devices() {
      return number(Object.keys(city.devices).length);
    },
    unplaced() {
      const marks = Object.values(city.devices);
      return marks.filter((mark) => mark.latitude === null).length;
    },
  },
};
