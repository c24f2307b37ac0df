import { city, summary, t, timeOfDay, title } from "gampong-live";

export default {
  template: `
    <section class="panel readings">
      <h2>{{ t("page.readings") }}</h2>
      <p v-if="!city.readings.length" class="empty">{{ t("page.no_data") }}</p>
      <div v-else class="scroll" tabindex="0">
        <table>
          <thead><tr>
            <th>{{ t("reading.time") }}</th><th>{{ t("reading.device") }}</th>
            <th>{{ t("reading.value") }}</th>
          </tr></thead>
          <tbody>
            <tr v-for="row in rows" :key="row.number" :data-reading="row.id" class="arrived">
              <td class="time">{{ timeOfDay(row.time_ms) }}</td>
              <td class="device"><b>{{ row.id }}</b> <span>{{ row.place }}</span></td>
              <td class="value"><i class="dot" :data-state="row.state"></i>{{ row.value }}
                <em v-if="row.late">{{ t("reading.late") }}</em></td>
            </tr>
          </tbody>
        </table>
      </div>
    </section>`,
  setup() {
    return { city, t, timeOfDay };
  },
  computed: {
    rows() {
      return city.readings.map((seen) => {
        const device = city.devices[seen.id];
        return {
          ...seen,
          place: device ? title(device.site) : "",
          value: summary(device?.kind, seen.state, seen.fields),
        };
      });
    },
  },
};
