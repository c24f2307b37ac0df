import { city, date, setNight, t, timeOfDay } from "gampong-live";

export default {
  template: `
    <header>
      <svg class="logo" viewBox="0 0 24 24" aria-hidden="true">
        <path d="M2 12.5 12 3l10 9.5" class="roof" /><path d="M5 12v8h14v-8" class="wall" />
        <circle cx="12" cy="14.5" r="2.2" class="eye" />
      </svg>
      <h1>{{ t("page.title") }}</h1>
      <span class="grow"></span>
      <span class="clock"><b>{{ timeOfDay(city.now) }}</b> <small>WIB</small></span>
      <span class="date">{{ date(city.now) }}</span>
      <span v-if="city.setting.rate !== 1" class="speed">× {{ city.setting.rate }}</span>
      <button type="button" :title="t('page.night')" :aria-label="t('page.night')"
        :aria-pressed="city.night" @click="setNight(!city.night)">{{ city.night ? "☾" : "☀" }}</button>
      <a :href="'?lang=' + other" :hreflang="other" :title="t('page.language')">{{ other.toUpperCase() }}</a>
    </header>`,
  setup() {
    return { city, date, setNight, t, timeOfDay };
  },
  computed: {
    other() {
      return city.setting.language === "id" ? "en" : "id";
    },
  },
};
