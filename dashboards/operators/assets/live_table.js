// Rows of cells; on a phone each row is a card with its columns' names.
import { Cell } from "gampong-cells";

export default {
  components: { Cell },
  props: { columns: Array, rows: Array, empty: String, label: String },
  template: `
    <div class="scroll live-table" tabindex="0" role="region" :aria-label="label">
      <p v-if="!rows.length" class="empty">{{ empty }}</p>
      <table v-else>
        <thead><tr><th v-for="name in columns" :key="name" scope="col">{{ name }}</th></tr></thead>
        <tbody>
          <tr v-for="row in rows" :key="row.key" :data-row="row.key">
            <component v-for="(cell, n) in row.cells" :key="n" :is="n ? 'td' : 'th'"
              :scope="n ? null : 'row'" :data-label="columns[n]"><Cell :cell="cell" /></component>
          </tr>
        </tbody>
      </table>
    </div>`,
};
