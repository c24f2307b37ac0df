import { city, date, setNight, t, timeOfDay } from "gampong-live";

export default {
  template: `
    <header>
      <a class="skip" href="#content">{{ t("frame.skip") }}</a>
      <svg class="logo" viewBox="0 0 24 24" aria-hidden="true">
        <path d="M2 12.5 12 3l10 9.5" class="roof" /><path d="M5 12v8h14v-8" class="wall" />
        <circle cx="12" cy="14.5" r="2.2" class="eye" />
      </svg>
      <h1>{{ t("page.title") }}</h1>
      <span class="here">{{ here }}</span>
      <nav v-if="told.ways.length > 1" class="ways" :aria-label="t('frame.sections')">
        <a v-for="way in told.ways" :key="way.path" :href="way.path" :data-way="way.path"
          :aria-current="way.here ? 'page' : null">{{ way.title }}</a>
      </nav>
      <span class="grow"></span>
      <span class="clock"><b>{{ timeOfDay(city.now) }}</b> <small>WIB</small></span>
      <span class="date">{{ date(city.now) }}</span>
      <span v-if="city.setting.rate !== 1" class="speed">× {{ city.setting.rate }}</span>
      <span class="tools">
        <button type="button" class="wall-button" :title="t('frame.wall')" :aria-label="t('frame.wall')"
          @click="setWall(true)"><svg viewBox="0 0 16 16" aria-hidden="true"><path d="M1 6V1h5M10 1h5v5M15 10v5h-5M6 15H1v-5" /></svg></button>
        <button type="button" class="night" :title="t('page.night')" :aria-label="t('page.night')"
          :aria-pressed="city.night" @click="setNight(!city.night)">{{ city.night ? "☾" : "☀" }}</button>
        <a class="language" :href="'?lang=' + other" :hreflang="other" :lang="other"
          :title="t('page.language')" :aria-label="t('page.language')">{{ other.toUpperCase() }}</a>
        <form v-if="told.form" method="post" action="/logout" class="who">
          <input type="hidden" name="form" :value="told.form" />
          <span :title="told.role">{{ told.who }}</span>
          <button type="submit">{{ t("frame.log_out") }}</button>
        </form>
      </span>
      <button v-if="wall" type="button" class="leave-wall" :title="t('frame.leave_wall')"
        :aria-label="t('frame.leave_wall')" @click="setWall(false)">✕</button>
    </header>`,
  props: { shell: String },
  setup() {
    return { city, date, setNight, t, timeOfDay };
  },
  data() {
    return { wall: false };
  },
  computed: {
    told() {
      return JSON.parse(this.shell);
    },
    here() {
      return this.told.ways.find((way) => way.here)?.title;
    },
    other() {
      return city.setting.language === "id" ? "en" : "id";
    },
  },
  created() {
    this.setWall(new URLSearchParams(location.search).has("wall"));
  },
  mounted() {
    window.addEventListener("keydown", this.onKey);
    this.$el.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  },
  unmounted() {
    window.removeEventListener("keydown", this.onKey);
  },
  methods: {
    // The address keeps it, so that a screen that starts with it comes up with it again.
    setWall(wall) {
      this.wall = wall;
      document.documentElement.toggleAttribute("data-wall", wall);
      const address = new URL(location.href);
      if (wall) address.searchParams.set("wall", "1");
      else address.searchParams.delete("wall");
      if (address.href !== location.href) history.replaceState(history.state, "", address);
    },
    onKey(event) {
      if (event.key === "Escape" && this.wall) this.setWall(false);
    },
  },
};
